// Keeps the addon's symbol floor at libtorch's own (glibc 2.28) when it is built on a newer distribution;
// scripts/prebuild.mjs checks the result.
#include <features.h>

#if defined(__linux__) && defined(__GLIBC__)
// libstdc++'s shared_ptr reads this variable of glibc >= 2.32 to skip atomics in single-threaded programs. A private
// one that is always 0 means "use atomics", which is what a program with worker threads does anyway.
extern "C" {
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
}
#endif
