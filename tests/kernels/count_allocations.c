// SPDX-License-Identifier: Apache-2.0
// Preloaded into a process, counts what it allocates (glibc).
#include <errno.h>
#include <stddef.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static long count;
long allocations(void) { return __atomic_load_n(&count, __ATOMIC_RELAXED); }
static void add(void) { __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED); }

void* malloc(size_t n) { return add(), __libc_malloc(n); }
void* calloc(size_t n, size_t size) { return add(), __libc_calloc(n, size); }
void* realloc(void* p, size_t n) { return add(), __libc_realloc(p, n); }
void* memalign(size_t align, size_t n) { return add(), __libc_memalign(align, n); }
void* aligned_alloc(size_t align, size_t n) { return memalign(align, n); }
int posix_memalign(void** p, size_t align, size_t n) {
  void* const made = memalign(align, n);
  if (!made) return ENOMEM;
  *p = made;
  return 0;
}
