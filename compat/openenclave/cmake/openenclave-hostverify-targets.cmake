# Targets of verifiers; included by openenclave-config.cmake.
if (TARGET openenclave::oehostverify)
  return()
endif ()

add_library(openenclave::oe_includes INTERFACE IMPORTED)
set_target_properties(
  openenclave::oe_includes PROPERTIES INTERFACE_INCLUDE_DIRECTORIES
                                      "${OE_INCLUDEDIR};${OE_INCLUDEDIR}/cella-sdk")

add_library(openenclave::oehostverify STATIC IMPORTED)
set_target_properties(
  openenclave::oehostverify
  PROPERTIES IMPORTED_LOCATION "${OE_LIBDIR}/openenclave/host/liboehostverify.a"
             IMPORTED_LINK_INTERFACE_LANGUAGES C
             INTERFACE_COMPILE_DEFINITIONS OE_BUILD_HOST_VERIFY
             INTERFACE_LINK_LIBRARIES
             "openenclave::oe_includes;openenclave::crypto;openenclave::dl;Threads::Threads")
