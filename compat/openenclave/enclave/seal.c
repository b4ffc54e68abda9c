/*
 * oe_seal and oe_unseal: the table of plug-ins.
 * Side: enclave. Called by applications.
 * Never seals by itself; the built-in plug-in is seal_gcm.c.
 */
#include <stdlib.h>
#include <string.h>

#include <openenclave/seal.h>

#include "compat/openenclave/enclave/skin.h"
#include "enclave/kernel.h"

#define PLUGIN_MAX 16u

extern const oe_seal_plugin_definition_t oe_seal_plugin_gcm_aes; /* sgx/seal.h */

/* The first one is the default. */
static const oe_seal_plugin_definition_t *plugins[PLUGIN_MAX] = {&oe_seal_plugin_gcm_aes};
static uint32_t plugin_count = 1;
static struct cella_lock plugin_lock;

static bool is_same(const oe_uuid_t *a, const oe_uuid_t *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* With the lock held: the place of the id, or plugin_count. */
static uint32_t plugin_find(const oe_uuid_t *id)
{
    uint32_t at = 0;
    while (at < plugin_count && !is_same(&plugins[at]->id, id)) {
        at++;
    }
    return at;
}

oe_result_t oe_register_seal_plugin(const oe_seal_plugin_definition_t *plugin, bool make_default)
{
    oe_result_t result = OE_OK;
    OE_ENSURE(plugin != NULL && plugin->seal != NULL && plugin->unseal != NULL,
              OE_INVALID_PARAMETER);
    cella_lock_take(&plugin_lock);
    uint32_t at = plugin_find(&plugin->id);
    if (at == PLUGIN_MAX) {
        result = OE_OUT_OF_MEMORY;
    } else {
        plugin_count += at == plugin_count;
        if (make_default) {
            plugins[at] = plugins[0];
            at = 0;
        }
        plugins[at] = plugin;
    }
    cella_lock_give(&plugin_lock);
    return result;
}

oe_result_t oe_unregister_seal_plugin(const oe_uuid_t *plugin_id)
{
    oe_result_t result = OE_NOT_FOUND;
    OE_ENSURE(plugin_id != NULL, OE_INVALID_PARAMETER);
    cella_lock_take(&plugin_lock);
    const uint32_t at = plugin_find(plugin_id);
    if (at < plugin_count) {
        plugins[at] = plugins[--plugin_count];
        result = OE_OK;
    }
    cella_lock_give(&plugin_lock);
    return result;
}

/* NULL: there is none of that id (or none at all). */
static const oe_seal_plugin_definition_t *plugin_get(const oe_uuid_t *id)
{
    cella_lock_take(&plugin_lock);
    const uint32_t at = id ? plugin_find(id) : 0;
    const oe_seal_plugin_definition_t *plugin = at < plugin_count ? plugins[at] : NULL;
    cella_lock_give(&plugin_lock);
    return plugin;
}

oe_result_t oe_seal(const oe_uuid_t *plugin_id, const oe_seal_setting_t *settings,
                    size_t settings_count, const uint8_t *plaintext, size_t plaintext_size,
                    const uint8_t *additional_data, size_t additional_data_size, uint8_t **blob,
                    size_t *blob_size)
{
    uint8_t *sealed = NULL;
    size_t sealed_size = 0;
    OE_ENSURE((settings != NULL || settings_count == 0) &&
                  (plaintext != NULL || plaintext_size == 0) &&
                  (additional_data != NULL || additional_data_size == 0) && blob != NULL &&
                  blob_size != NULL,
              OE_INVALID_PARAMETER);
    const oe_seal_plugin_definition_t *plugin = plugin_get(plugin_id);
    OE_ENSURE(plugin != NULL, OE_NOT_FOUND);
    OE_TRY(plugin->seal(settings, settings_count, plaintext, plaintext_size, additional_data,
                        additional_data_size, &sealed, &sealed_size));
    /* The blob starts with the plug-in's id, so that oe_unseal knows whom to ask. */
    uint8_t *whole =
        sealed_size < SIZE_MAX - sizeof(oe_uuid_t) ? malloc(sizeof(oe_uuid_t) + sealed_size) : NULL;
    if (!whole) {
        free(sealed);
        return OE_OUT_OF_MEMORY;
    }
    memcpy(whole, &plugin->id, sizeof(oe_uuid_t));
    memcpy(whole + sizeof(oe_uuid_t), sealed, sealed_size);
    free(sealed);
    *blob = whole;
    *blob_size = sizeof(oe_uuid_t) + sealed_size;
    return OE_OK;
}

oe_result_t oe_unseal(const uint8_t *blob, size_t blob_size, const uint8_t *additional_data,
                      size_t additional_data_size, uint8_t **plaintext, size_t *plaintext_size)
{
    oe_uuid_t id;
    OE_ENSURE(blob != NULL && (additional_data != NULL || additional_data_size == 0) &&
                  plaintext != NULL && plaintext_size != NULL && blob_size >= sizeof(id),
              OE_INVALID_PARAMETER);
    memcpy(&id, blob, sizeof(id));
    const oe_seal_plugin_definition_t *plugin = plugin_get(&id);
    OE_ENSURE(plugin != NULL, OE_NOT_FOUND);
    return plugin->unseal(blob + sizeof(id), blob_size - sizeof(id), additional_data,
                          additional_data_size, plaintext, plaintext_size);
}
