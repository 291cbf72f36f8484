/*===- Broken.c - Plugins that cannot be used -----------------------------===
 *
 * One fault each, by macro: VERSION is the version of the plugin interface, GONE a function
 * that nobody defines, EMPTY leaves the entries out. With none of them the plugin is a good
 * one that registers nothing, which a library that it is linked with can spoil.
 */
#include <stddef.h>
#include <stdint.h>

#ifndef VERSION
#define VERSION 1
#endif

#ifdef GONE
void GONE(void);
#define REGISTER GONE
#else
static void nothing(void) {}
#define REGISTER nothing
#endif

#ifndef EMPTY
struct Info {
  uint32_t apiVersion;
  const char *name, *version;
  void (*registerAll)(void);
};

struct Info mlirGetPassPluginInfo(void) {
  struct Info info = {VERSION, "broken", "1.0", REGISTER};
  return info;
}
#endif
