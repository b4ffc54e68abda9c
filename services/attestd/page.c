/*
 * The page: three files inside the program, under a policy that allows nothing else.
 * Side: services. Called by the HTTP server. Never builds HTML from what a client sent.
 */
#include <string.h>

#include "common/cleanup.h"
#include "services/attestd/attestd.h"

extern const char page_html_start[], page_html_end[];
extern const char page_css_start[], page_css_end[];
extern const char page_js_start[], page_js_end[];

void handle_page(struct http_exchange *exchange, void *context)
{
    static const struct {
        const char *path;
        const char *type;
        const char *start;
        const char *end;
    } files[] = {
        {"/", "text/html; charset=utf-8", page_html_start, page_html_end},
        {"/cella/page.css", "text/css; charset=utf-8", page_css_start, page_css_end},
        {"/cella/page.js", "text/javascript; charset=utf-8", page_js_start, page_js_end},
    };
    (void)context;
    for (size_t i = 0; i < CELLA_COUNT(files); i++) {
        if (strcmp(http_path(exchange), files[i].path) == 0) {
            http_reply_header(exchange, "Content-Security-Policy",
                              "default-src 'none'; script-src 'self'; style-src 'self'; "
                              "connect-src 'self'; base-uri 'none'; form-action 'none'; "
                              "frame-ancestors 'none'");
            http_reply_header(exchange, "Referrer-Policy", "no-referrer");
            http_reply(exchange, 200, files[i].type,
                       cella_bytes_of(files[i].start, (size_t)(files[i].end - files[i].start)));
        }
    }
}
