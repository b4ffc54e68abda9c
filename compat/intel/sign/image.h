/*
 * From an Intel configuration and a linker's output to a Cella image: the settings in Cella's words.
 * Side: tools (hosted). Called by sgx_sign. Never opens a file.
 */
#ifndef COMPAT_INTEL_SIGN_IMAGE_H
#define COMPAT_INTEL_SIGN_IMAGE_H

#include "compat/intel/sign/config_xml.h"
#include "image/build.h"
#include "image/sign.h"

/* The file as it was given says what it is. */
enum intel_input {
    INTEL_INPUT_LINKED, /* a linker's output */
    INTEL_INPUT_SIGNED, /* a Cella image, signed or prepared for it */
};
enum intel_input intel_input_kind(struct cella_bytes file);

/*
 * An unsigned image in the empty buffer `output`, and its SIGSTRUCT without modulus and signature. `date` is BCD yyyymmdd.
 * An input of the second kind keeps its pages and gets the layout, the identity and the signature of `config`.
 */
CELLA_MUST_USE cella_result intel_image_make(struct cella_bytes input,
                                             const struct intel_config *config, uint32_t date,
                                             struct cella_buffer *output,
                                             struct sgx_sigstruct *ret_sigstruct,
                                             struct cella_error *error);

#endif
