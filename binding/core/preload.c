// Opens libtorch's libraries by full path before the addon is loaded. The addon's own needs (DT_NEEDED) are then
// answered by what is already in the process, so that ld.so never searches and never finds another libtorch.
// Plain C and no libtorch, so that it loads wherever Node does and can report what is wrong.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__)
// glibc 2.34 moved these two into libc under a new version; ask for the old one, which every glibc still has.
__asm__(".symver dlopen,dlopen@GLIBC_2.2.5");
__asm__(".symver dlerror,dlerror@GLIBC_2.2.5");
#endif

// preload(path: string): undefined - throws ERR_DLOPEN_FAILED with ld.so's own words.
static napi_value Preload(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  size_t length = 0;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 1 ||
      napi_get_value_string_utf8(env, argv[0], NULL, 0, &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG", "Expected a string for path");
    return NULL;
  }
  char* path = malloc(length + 1);
  if (path == NULL) {
    napi_throw_error(env, "ERR_DLOPEN_FAILED", "Out of memory");
    return NULL;
  }
  napi_get_value_string_utf8(env, argv[0], path, length + 1, &length);
  void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  free(path);
  if (handle == NULL) napi_throw_error(env, "ERR_DLOPEN_FAILED", dlerror());
  // never closed: libtorch does not survive being unloaded
  return NULL;
}

// setDefaultEnv(name: string, value: string): boolean - true when it was unset and now has this value. The real
// environment, in worker threads too, where process.env is a copy that libraries never see. Of threads that set
// different values at the same moment one gets true.
static napi_value SetDefaultEnv(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  char name[128], value[1024];
  size_t length = 0;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 2 ||
      napi_get_value_string_utf8(env, argv[0], name, sizeof(name), &length) != napi_ok ||
      napi_get_value_string_utf8(env, argv[1], value, sizeof(value), &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG", "Expected strings for name and value");
    return NULL;
  }
  bool set = getenv(name) == NULL && setenv(name, value, 0) == 0;
  if (set) {  // another thread may have come first
    const char* actual = getenv(name);
    set = actual != NULL && strcmp(actual, value) == 0;
  }
  napi_value result;
  return napi_get_boolean(env, set, &result) == napi_ok ? result : NULL;
}

// unsetEnv(name: string): undefined
static napi_value UnsetEnv(napi_env env, napi_callback_info info) {
  size_t argc = 1;
  napi_value argv[1];
  char name[128];
  size_t length = 0;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != napi_ok || argc < 1 ||
      napi_get_value_string_utf8(env, argv[0], name, sizeof(name), &length) != napi_ok) {
    napi_throw_type_error(env, "ERR_INVALID_ARG", "Expected a string for name");
    return NULL;
  }
  unsetenv(name);
  return NULL;
}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      {"preload", NULL, Preload, NULL, NULL, NULL, napi_enumerable, NULL},
      {"setDefaultEnv", NULL, SetDefaultEnv, NULL, NULL, NULL, napi_enumerable, NULL},
      {"unsetEnv", NULL, UnsetEnv, NULL, NULL, NULL, napi_enumerable, NULL},
  };
  if (napi_define_properties(env, exports, sizeof(functions) / sizeof(functions[0]), functions) != napi_ok) return NULL;
  return exports;
}
