/*
 * The page's files, embedded. Side: services. Read by services/attestd/page.c.
 */
        .section .rodata
        .macro embed name, file
        .global \name\()_start
        .global \name\()_end
\name\()_start:
        .incbin "\file"
\name\()_end:
        .endm
        embed page_html, "services/attestd/page.html"
        embed page_css, "services/attestd/page.css"
        embed page_js, "services/attestd/page.js"
        .section .note.GNU-stack, "", @progbits
