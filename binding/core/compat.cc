// Keeps the addon's symbol floor near libtorch's own (glibc 2.28) when it is built on a newer distribution, so that one
// prebuilt binary runs on old systems too. scripts/prebuild.mjs checks the result.
#include <features.h>

#if defined(__linux__) && defined(__GLIBC__)
extern "C" {
// libstdc++'s shared_ptr reads this variable of glibc >= 2.32 to skip atomics in single-threaded programs. A private
// one that is always 0 means "use atomics", which is what a program with worker threads does anyway.
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
}
#endif

// CMakeLists.txt has the linker send calls of X to __wrap_X. Each of these asks for the oldest version of X, where a
// plain call would be bound to the newest one that the building machine has.
#if defined(TORCH_LEARNER_WRAP_SYMBOLS)
#include <pthread.h>
#include <time.h>

struct stat;

__asm__(".symver old_pow,pow@GLIBC_2.2.5");
__asm__(".symver old_exp,exp@GLIBC_2.2.5");
__asm__(".symver old_log,log@GLIBC_2.2.5");
__asm__(".symver old_stat,__xstat@GLIBC_2.2.5");
__asm__(".symver old_fstat,__fxstat@GLIBC_2.2.5");
__asm__(".symver old_pthread_once,pthread_once@GLIBC_2.2.5");
__asm__(".symver old_wait,_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE@GLIBCXX_3.4.11");

extern "C" {
double old_pow(double x, double y);
double old_exp(double x);
double old_log(double x);
int old_stat(int layout, const char* path, struct stat* status);
int old_fstat(int layout, int file, struct stat* status);
int old_pthread_once(pthread_once_t* control, void (*routine)());
void old_wait(void* condition, void* lock);

double __wrap_pow(double x, double y) { return old_pow(x, y); }
double __wrap_exp(double x) { return old_exp(x); }
double __wrap_log(double x) { return old_log(x); }

// Functions of their own since glibc 2.33; before, inline calls that name the layout of x86-64.
int __wrap_stat(const char* path, struct stat* status) { return old_stat(1, path, status); }
int __wrap_fstat(int file, struct stat* status) { return old_fstat(1, file, status); }

int __wrap_pthread_once(pthread_once_t* control, void (*routine)()) { return old_pthread_once(control, routine); }

// std::condition_variable::wait(std::unique_lock<std::mutex>&)
void __wrap__ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE(void* condition, void* lock) {
  old_wait(condition, lock);
}

// New in glibc 2.30, behind wait_for and wait_until. The time that is left is the same by either clock.
int __wrap_pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                                  const timespec* until) {
  timespec now, deadline;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += until->tv_sec - now.tv_sec;
  deadline.tv_nsec += until->tv_nsec - now.tv_nsec;
  constexpr long second = 1'000'000'000;
  if (deadline.tv_nsec < 0) {
    deadline.tv_nsec += second;
    deadline.tv_sec -= 1;
  } else if (deadline.tv_nsec >= second) {
    deadline.tv_nsec -= second;
    deadline.tv_sec += 1;
  }
  return pthread_cond_timedwait(condition, mutex, &deadline);
}
}
#endif
