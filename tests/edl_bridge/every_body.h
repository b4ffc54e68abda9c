/*
 * What the functions of every.edl do, for either side: F(name) is e_name in the enclave and o_name on the host.
 * Side: both. Included by every_enclave.c and every_host.h after the generated header. No libc.
 */
static uint64_t bytes_sum(const void *at, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = sum * 31 + ((const uint8_t *)at)[i] + 1;
    }
    return sum;
}

int F(scalars)(char a, short b, unsigned c, long d, uint64_t e, float f, double g, bool h,
               wchar_t i, size_t j, enum color k)
{
    return (int)(a + b + (int)c + d + (long)e + (long)f + (long)g + h + i + (long)j + (long)k);
}

static int F(nothing_calls);

void F(nothing)(void)
{
    F(nothing_calls)++;
}

long double F(wide)(long double a)
{
    return a * 2 + F(nothing_calls);
}

struct point F(struct)(struct point p, union number u)
{
    struct point result = {p.y + (int)u.words[0], p.x + (int)u.words[1]};
    return result;
}

uint64_t F(in)(const void *p, size_t n)
{
    return p ? bytes_sum(p, n) : 77;
}

void F(out)(uint32_t *p, int n)
{
    for (int i = 0; p && i < n; i++) {
        p[i] = p[i] == 0 ? (uint32_t)i * 3 + 1 : 0xDEAD; /* it comes in as zeros */
    }
}

void F(in_out)(uint8_t *p, uint16_t n)
{
    for (uint16_t i = 0; p && i < n; i++) {
        p[i] ^= 0x5A;
    }
}

int F(one)(const struct point *p, struct point *q, enum color *c)
{
    q->x = p->y;
    q->y = p->x + q->y;
    *c = *c == RED ? GREEN : BLUE;
    return p->x;
}

size_t F(string)(const char *s, char *t)
{
    size_t size = 0;
    while (s && s[size]) {
        size++;
    }
    for (; t && *t; t++) {
        *t = *t >= 'a' && *t <= 'z' ? (char)(*t - 32) : *t;
    }
    return s ? size : 1000;
}

size_t F(wstring)(const wchar_t *s, wchar_t *t)
{
    size_t size = 0;
    while (s && s[size]) {
        size++;
    }
    for (; t && *t; t++) {
        *t += 1;
    }
    return size;
}

int F(arrays)(int a[2][3], int b[4], uint8_t c[5])
{
    int sum = 0;
    for (int i = 0; i < 6; i++) {
        sum += a[i / 3][i % 3];
    }
    for (int i = 0; i < 4; i++) {
        b[i] += sum + i;
    }
    for (int i = 0; i < 5; i++) {
        c[i]++;
    }
    return sum;
}

int F(foreign)(bytes_pointer p, size_t n, four_ints a, handle_t h)
{
    for (int i = 0; i < 4; i++) {
        a[i] += h.number;
    }
    return (int)bytes_sum(p, n);
}

uint64_t F(deep_in)(const struct item *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (uint64_t)p[i].tag + 1000 * p[i].count;
        sum += p[i].values ? bytes_sum(p[i].values, p[i].count * 4) : 5;
    }
    return sum;
}

uint64_t F(deep_in_out)(struct box *p, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; p[i].items && k < p[i].item_count; k++) {
            struct item *item = &p[i].items[k];
            for (size_t m = 0; item->values && m < item->count; m++) {
                item->values[m] += (uint32_t)item->tag;
            }
            item->tag++;
            sum += item->count;
        }
        for (int k = 0; p[i].raw && k < p[i].raw_size; k++) {
            ((uint8_t *)p[i].raw)[k] ^= 0xFF;
        }
        const int x = p[i].corner.x;
        p[i].corner.x = p[i].corner.y;
        p[i].corner.y = x;
    }
    return sum;
}

int F(switchless)(int *p, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += p[i];
        p[i] = -p[i];
    }
    return sum;
}
