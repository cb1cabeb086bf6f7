/* Products of a block of rows with up to four vectors, for instruction sets that say how to

   rows_start(correction)      begin the sums of a block,
   rows_load(weights)          read a group of it,
   rows_add(sums, group, x)    add the products of a group, with x in all lanes,
   rows_store(sums, to)        write the sums;

   all on values of the type `rows`: variables with a name each, which every compiler keeps in registers. */

TARGET INLINE void block(const int8_t *weights, const int32_t *correction, const uint16_t *kept, int count,
                         const int8_t *x, int stride, int32_t *sums, int vectors) {
    rows a = rows_start(correction), b = a, c = a, d = a;
    for (int i = 0; i < count; i++, weights += GROUP_BYTES) {
        rows group = rows_load(weights);
        if (vectors == 1) {
            FETCH_AHEAD(weights);
        }
        const int8_t *from = x + KERNEL_COLUMNS * (kept ? kept[i] : i);
        a = rows_add(a, group, four_of(from));
        if (vectors > 1) {
            b = rows_add(b, group, four_of(from + stride));
        }
        if (vectors > 2) {
            c = rows_add(c, group, four_of(from + 2 * stride));
        }
        if (vectors > 3) {
            d = rows_add(d, group, four_of(from + 3 * stride));
        }
    }
    rows_store(a, sums);
    if (vectors > 1) {
        rows_store(b, sums + KERNEL_SUMS);
    }
    if (vectors > 2) {
        rows_store(c, sums + 2 * KERNEL_SUMS);
    }
    if (vectors > 3) {
        rows_store(d, sums + 3 * KERNEL_SUMS);
    }
}

TARGET static void sparse(const int8_t *weights, const int32_t *correction, const uint16_t *kept, int count,
                          const int8_t *x, int stride, int vectors, int32_t *sums) {
    switch (vectors) {
    case 1: block(weights, correction, kept, count, x, stride, sums, 1); break;
    case 2: block(weights, correction, kept, count, x, stride, sums, 2); break;
    case 3: block(weights, correction, kept, count, x, stride, sums, 3); break;
    default: block(weights, correction, kept, count, x, stride, sums, 4); break;
    }
}

TARGET static void dense(const int8_t *weights, const int32_t *correction, int blocks, int groups, const int8_t *x,
                         int stride, int vectors, int32_t *sums) {
    for (int b = 0; b < blocks; b++, weights += groups * GROUP_BYTES, correction += KERNEL_ROWS, sums += KERNEL_ROWS) {
        switch (vectors) {
        case 1: block(weights, correction, NULL, groups, x, stride, sums, 1); break;
        case 2: block(weights, correction, NULL, groups, x, stride, sums, 2); break;
        case 3: block(weights, correction, NULL, groups, x, stride, sums, 3); break;
        default: block(weights, correction, NULL, groups, x, stride, sums, 4); break;
        }
    }
}
