/*
 * The ranges of the program's memory that a transfer consists of.
 * Side: enclave. Called by linux/fs_*.c.
 * Never believes a vector twice: it lies in memory that other threads of the program may be changing.
 */
#include "linux/fs_tree.h"

#define PART_MAX (INT64_MAX & ~4095ll)

/* Buffers of the kernel are allowed, too: what the tree's own calls pass on. */
bool linux_user_read(void *to, uint64_t from, uint64_t size)
{
    return cella_inside(from, size) && cella_host_copy_bytes(to, (const void *)from, size) == 0;
}

bool linux_user_write(uint64_t to, const void *from, uint64_t size)
{
    return cella_inside(to, size) && cella_host_copy_bytes((void *)to, from, size) == 0;
}

void fs_pieces_start(struct fs_pieces *pieces, const struct cella_gather *bytes)
{
    *pieces = (struct fs_pieces){.bytes = bytes, .skip = bytes->skip, .left = bytes->size};
}

/* The next part that is not empty. */
static bool part_next(struct fs_pieces *pieces)
{
    while (pieces->index < pieces->bytes->count) {
        const struct cella_part *parts = pieces->bytes->parts;
        struct cella_part part;
        if (!linux_user_read(&part, (uint64_t)&parts[pieces->index++], sizeof(part)) ||
            part.size > PART_MAX) {
            pieces->failed = true;
            return false;
        }
        if (pieces->skip < part.size) {
            pieces->part =
                (struct cella_part){.at = part.at + pieces->skip, .size = part.size - pieces->skip};
            pieces->skip = 0;
            return true;
        }
        pieces->skip -= part.size;
    }
    return false;
}

bool fs_pieces_next(struct fs_pieces *pieces, uint64_t max, struct cella_part *ret_part)
{
    if (pieces->left == 0 || max == 0 || (pieces->part.size == 0 && !part_next(pieces))) {
        return false;
    }
    uint64_t size = pieces->part.size < max ? pieces->part.size : max;
    size = size < pieces->left ? size : pieces->left;
    *ret_part = (struct cella_part){.at = pieces->part.at, .size = size};
    pieces->part.at += size;
    pieces->part.size -= size;
    pieces->left -= size;
    return true;
}

long fs_pieces_put(const struct cella_gather *bytes, const void *from, uint64_t size)
{
    struct fs_pieces pieces;
    struct cella_part part;
    uint64_t done = 0;
    fs_pieces_start(&pieces, bytes);
    while (fs_pieces_next(&pieces, size - done, &part)) {
        if (!linux_user_write(part.at, (const uint8_t *)from + done, part.size)) {
            return done > 0 ? (long)done : -EFAULT;
        }
        done += part.size;
    }
    return pieces.failed && done == 0 ? -EFAULT : (long)done;
}

long fs_pieces_take(const struct cella_gather *bytes, void *to, uint64_t size)
{
    struct fs_pieces pieces;
    struct cella_part part;
    uint64_t done = 0;
    fs_pieces_start(&pieces, bytes);
    while (fs_pieces_next(&pieces, size - done, &part)) {
        if (!linux_user_read((uint8_t *)to + done, part.at, part.size)) {
            return done > 0 ? (long)done : -EFAULT;
        }
        done += part.size;
    }
    return pieces.failed && done == 0 ? -EFAULT : (long)done;
}

long fs_pieces_by_buffer(struct fs_file *file, const struct cella_transfer *transfer,
                         uint64_t offset, uint64_t buffer_max, fs_move *move)
{
    struct cella_gather rest = transfer->bytes;
    const uint64_t room = rest.size < buffer_max ? rest.size : buffer_max;
    uint8_t *bytes = room > 0 ? fs_new(room) : NULL;
    uint64_t done = 0;
    long result = bytes || room == 0 ? 0 : -ENOMEM;
    while (bytes && rest.size > 0) {
        uint64_t part = rest.size < room ? rest.size : room;
        if (transfer->writing) {
            result = fs_pieces_take(&rest, bytes, part);
            part = result > 0 ? (uint64_t)result : 0;
        }
        if (result >= 0 && part > 0) {
            result = move(file, transfer->writing, bytes, part, offset + done);
        }
        if (result > 0 && !transfer->writing) {
            result = fs_pieces_put(&rest, bytes, (uint64_t)result);
        }
        if (result <= 0) {
            break;
        }
        done += (uint64_t)result;
        rest.skip += (uint64_t)result;
        rest.size -= (uint64_t)result;
        if ((uint64_t)result < part) {
            break;
        }
    }
    if (bytes) {
        cella_zero(bytes, room); /* plaintext of encrypted files, too */
    }
    fs_free(bytes, room);
    return done > 0 ? (long)done : result;
}
