/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of commands, and the functions behind it: one file per group. */
#pragma once

#include "cli/parse.h"

struct cli;

/* All commands, ended by a NULL name. Commands of one group ("fdb …") stand together. */
extern const struct command commands[];

/* set.c: requests that change something */
int cmd_simple(struct cli *c, const struct command *cmd, json_t *args);
int cmd_shutdown(struct cli *c, const struct command *cmd, json_t *args);
int cmd_log(struct cli *c, const struct command *cmd, json_t *args);
int cmd_addif(struct cli *c, const struct command *cmd, json_t *args);
int cmd_delif(struct cli *c, const struct command *cmd, json_t *args);
int cmd_link_add(struct cli *c, const struct command *cmd, json_t *args);
int cmd_link_del(struct cli *c, const struct command *cmd, json_t *args);
int cmd_link_set(struct cli *c, const struct command *cmd, json_t *args);
int cmd_fdb_add(struct cli *c, const struct command *cmd, json_t *args);
int cmd_fdb_del(struct cli *c, const struct command *cmd, json_t *args);
int cmd_fdb_flush(struct cli *c, const struct command *cmd, json_t *args);

/* show.c: bridges and ports */
int cmd_show(struct cli *c, const struct command *cmd, json_t *args);
int cmd_link_show(struct cli *c, const struct command *cmd, json_t *args);
int cmd_status(struct cli *c, const struct command *cmd, json_t *args);

/* stp.c */
int cmd_showstp(struct cli *c, const struct command *cmd, json_t *args);

/* list.c: addresses and counters */
int cmd_showmacs(struct cli *c, const struct command *cmd, json_t *args);
int cmd_fdb_show(struct cli *c, const struct command *cmd, json_t *args);
int cmd_fdb_get(struct cli *c, const struct command *cmd, json_t *args);
int cmd_stats(struct cli *c, const struct command *cmd, json_t *args);
int cmd_debug_objects(struct cli *c, const struct command *cmd, json_t *args);

/* drops.c */
int cmd_drops(struct cli *c, const struct command *cmd, json_t *args);

/* doctor.c */
int cmd_doctor(struct cli *c, const struct command *cmd, json_t *args);

/* vlan.c: VLANs */
int cmd_vlan_show(struct cli *c, const struct command *cmd, json_t *args);
int cmd_vlan_change(struct cli *c, const struct command *cmd, json_t *args);

/* netmap.c: netmap programs */
int cmd_rings(struct cli *c, const struct command *cmd, json_t *args);
int cmd_intercept(struct cli *c, const struct command *cmd, json_t *args);

/* rule.c: hooks and mirrors */
int cmd_rule_add(struct cli *c, const struct command *cmd, json_t *args);
int cmd_rule_replace(struct cli *c, const struct command *cmd, json_t *args);
int cmd_rule_show(struct cli *c, const struct command *cmd, json_t *args);
int cmd_mirror_add(struct cli *c, const struct command *cmd, json_t *args);
int cmd_mirror_show(struct cli *c, const struct command *cmd, json_t *args);

/* trace.c, explain.c: single frames */
int cmd_trace(struct cli *c, const struct command *cmd, json_t *args);
int cmd_explain(struct cli *c, const struct command *cmd, json_t *args);

/* capture.c */
int cmd_capture(struct cli *c, const struct command *cmd, json_t *args);

/* adopt.c: bridges and devices of the kernel */
int cmd_adopt(struct cli *c, const struct command *cmd, json_t *args);

/* trace.c */
int cmd_trace(struct cli *c, const struct command *cmd, json_t *args);

/* config.c, watch.c, run.c, exec.c, help.c */
int cmd_check(struct cli *c, const struct command *cmd, json_t *args);
int cmd_reload(struct cli *c, const struct command *cmd, json_t *args);
int cmd_monitor(struct cli *c, const struct command *cmd, json_t *args);
int cmd_run(struct cli *c, const struct command *cmd, json_t *args);
int cmd_exec(struct cli *c, const struct command *cmd, json_t *args);
int cmd_help(struct cli *c, const struct command *cmd, json_t *args);
/* Becomes the program argv[0], with libnetmap preloaded. Returns only if that fails. */
int exec_program(struct cli *c, char **argv);
/* Candidates for the last of argv, one per line. */
int complete_words(struct cli *c, int argc, char **argv);

/* Which request arguments NAME means: {"bridge": NAME} or {"port": NAME}. Prints errors. */
int resolve_name(struct cli *c, const char *name, json_t **ret_args);
