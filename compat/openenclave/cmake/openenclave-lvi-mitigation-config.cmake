# find_package(OpenEnclave-LVI-Mitigation CONFIG): the compiler's own mitigation, for enclave targets.
function (apply_lvi_mitigation target)
  target_compile_options(
    ${target}
    PRIVATE
      $<$<OR:$<C_COMPILER_ID:Clang>,$<CXX_COMPILER_ID:Clang>>:-mlvi-cfi>
      $<$<C_COMPILER_ID:GNU>:-Wa,-mlfence-before-indirect-branch=register;-Wa,-mlfence-before-ret=shl>
  )
endfunction ()
