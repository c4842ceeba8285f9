/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h – what the files of doctor/ share. */
#ifndef DOCTOR_INTERNAL_H
#define DOCTOR_INTERNAL_H

#include "doctor/doctor.h"

/* Texts of templates/, made into arrays by CMake. */
extern const char doctor_check_text[], doctor_look_text[], doctor_mend_text[],
    doctor_collect_text[];

/* The n-th value of a key; NULL: there are not so many. Borrowed. */
const char *doctor_fact(const struct doctor_facts *facts, const char *key, size_t n);
/* Takes the next line off *text. */
struct bytes doctor_next_line(struct bytes *text);

/* In front of a command for the machine; root's there. Finch's limactl is in nobody's PATH. */
#define DOCTOR_INSIDE "finch-soci vm run -- "

/* The daemon's configuration cannot be read, as `why` says: it is put aside, and ours comes in its
 * place. false: that is not why. */
bool doctor_mend_config(const char *why, const char *vm, char ret[DOCTOR_TEXT_BYTES]);

/* A word that every shell takes for one word, and no program for a flag. */
bool doctor_is_word(const char *text);

/* ---- scrubbing, by scrub.c ------------------------------------------------------------------- */

#define DOCTOR_GONE "***" /* in the place of a secret */
/* A line anew, without some kind of secret. 0 or -ENOMEM. */
int doctor_scrub_environment(const char *in, struct buf *out);
int doctor_scrub_logins(const char *in, struct buf *out);
int doctor_scrub_schemes(const char *in, struct buf *out);
int doctor_scrub_options(const char *in, struct buf *out);
int doctor_scrub_tokens(const char *in, struct buf *out);
bool doctor_is_name_char(char c);
/* Does a name of so many bytes tell of a secret? */
bool doctor_is_secret_name(const char *name, size_t len);

/* What the lines before mean for the next; starts as zeros. */
struct doctor_block {
    bool in_headers;     /* a table of TOML whose values are sent to a registry */
    bool in_environment; /* an Environment= that goes on */
    size_t env_indent;   /* of YAML's env:, plus one; 0: not in one */
};
/* 1: the line is in a block, and was written; 0: it is not. -ENOMEM. */
int doctor_scrub_in_block(struct doctor_block *block, const char *line, struct buf *out);

/* ---- writing --------------------------------------------------------------------------------- */

/* Something being written; the first failure stays. */
struct doctor_out {
    struct buf *to;
    const struct report_style *style; /* of what people read; NULL in JSON */
    int rc;
};
void doctor_put(struct doctor_out *out, const char *text);
/* `colour`: what switches it on; without colours the text alone. Needs a style. */
void doctor_put_coloured(struct doctor_out *out, const char *colour, const char *text);
/* JSON: `name` with what stands in front of it: `{"`, `,"`. */
void doctor_put_string(struct doctor_out *out, const char *name, const char *value);
void doctor_put_number(struct doctor_out *out, const char *name, int64_t value);
void doctor_put_bool(struct doctor_out *out, const char *name, bool value);

#endif
