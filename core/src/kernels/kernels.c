#include "kernels/kernels.h"

#include <stddef.h>
#include <string.h>

static const kernel *const KERNELS[] = {
#ifdef KERNELS_X86
    &KERNEL_AVX512VNNI,
#ifdef KERNELS_AVXVNNI
    &KERNEL_AVXVNNI,
#endif
    &KERNEL_AVX2,
#endif
#ifdef KERNELS_DOTPROD
    &KERNEL_DOTPROD,
#endif
#ifdef KERNELS_WASM
    &KERNEL_WASM, /* and no other: where the module runs at all, this one does, and every byte of it is fetched */
#else
    &KERNEL_PORTABLE,
#endif
};

const kernel *kernel_at(int index) {
    for (size_t i = 0; i < sizeof KERNELS / sizeof KERNELS[0]; i++) {
        if (KERNELS[i]->runs_here() && index-- == 0) {
            return KERNELS[i];
        }
    }
    return NULL;
}

const kernel *kernel_of(const char *name) {
    for (int index = 0;; index++) {
        const kernel *k = kernel_at(index);
        if (!k || !name || !strcmp(k->name, name)) {
            return k;
        }
    }
}
