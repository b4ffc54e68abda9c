/*
 * Names that glibc has for files of more than 2 GiB and musl, since 1.2.4, lacks: on x86-64 they are the plain functions.
 * Side: enclave, musl only. Called by the distribution's static libraries. One archive member: what is not called goes.
 */

/* Weak: an older musl has them itself. A jump keeps all arguments, those of open and fcntl too. */
#define LARGE(name)                                                                                \
    __asm__(".section .text." #name "64, \"ax\", @progbits\n"                                      \
            ".weak " #name "64\n"                                                                  \
            ".type " #name "64, @function\n" #name "64:\n"                                         \
            "jmp " #name "@PLT\n"                                                                  \
            ".size " #name "64, . - " #name "64\n"                                                 \
            ".text\n")

LARGE(alphasort);
LARGE(creat);
LARGE(fcntl);
LARGE(fgetpos);
LARGE(fopen);
LARGE(freopen);
LARGE(fseeko);
LARGE(fsetpos);
LARGE(fstat);
LARGE(fstatat);
LARGE(fstatfs);
LARGE(fstatvfs);
LARGE(ftello);
LARGE(ftruncate);
LARGE(getrlimit);
LARGE(lseek);
LARGE(lstat);
LARGE(mkostemp);
LARGE(mkstemp);
LARGE(mmap);
LARGE(open);
LARGE(openat);
LARGE(posix_fadvise);
LARGE(posix_fallocate);
LARGE(pread);
LARGE(preadv);
LARGE(pwrite);
LARGE(pwritev);
LARGE(readdir);
LARGE(scandir);
LARGE(sendfile);
LARGE(setrlimit);
LARGE(stat);
LARGE(statfs);
LARGE(statvfs);
LARGE(tmpfile);
LARGE(truncate);
