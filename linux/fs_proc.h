/*
 * What the files of /proc share.
 * Side: enclave. Included by linux/fs_proc*.c and fs_sys.c.
 * Never more than text.
 */
#ifndef CELLA_LINUX_FS_PROC_H
#define CELLA_LINUX_FS_PROC_H

#include "linux/fs_tree.h"

#define FS_RELEASE "6.12.0" /* as uname says */

/* fs_proc.c */
void fs_say_cpu_list(struct fs_text *text); /* "0-3\n" */
void fs_say_mounts(struct fs_text *text, const struct fs_node *node);
void fs_say_mount_info(struct fs_text *text, const struct fs_node *node);
/* fs_proc_self.c */
long fs_proc_self_add(struct fs_tree *tree);
void fs_say_line(struct fs_text *text, const char *name, uint64_t value);
/* fs_proc_fd.c */
#define FS_NUMBER_SIZE 12u
extern const struct fs_ops fs_place_ops, fs_executable_ops, fs_descriptors_ops;
extern const struct fs_synthetic fs_descriptor_info;
bool fs_number_of(struct fs_name name, uint32_t *ret_number);
struct fs_name fs_number_name(uint32_t number, char text[FS_NUMBER_SIZE]);
/* An entry that nobody keeps: it lives as long as who looked for it. */
long fs_dynamic_new(struct fs_entry *directory, struct fs_name name, const struct fs_ops *ops,
                    uint32_t mode, uint64_t argument, struct fs_entry **ret_entry);
/* fs_proc_net.c */
void fs_say_net_devices(struct fs_text *text, const struct fs_node *node);
void fs_say_net_addresses6(struct fs_text *text, const struct fs_node *node);
/* fs_cpu.c */
void fs_say_cpus(struct fs_text *text, const struct fs_node *node);

#endif
