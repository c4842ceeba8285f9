/* SPDX-License-Identifier: Apache-2.0 */
/* proto.h – protobuf messages (generated from the .proto files of this folder) to bytes and back,
 * and the pieces that many of them hold: labels, lists of strings, times.
 *
 *   SCOPED(proto) Wire__SnapshotKeyRequest *req = NULL;
 *   rc = proto_unpack(&wire__snapshot_key_request__descriptor, bytes, &req, err);
 *
 *   Wire__SnapshotUsageResponse res;
 *   wire__snapshot_usage_response__init(&res); (the …__INIT macro drops a const, which Clang
 * refuses) rc = proto_pack(&res.base, &buf, err);
 *
 * A message type is generated as a struct that starts with ProtobufCMessage; strings in it are
 * never NULL, messages in it are NULL when absent. Unknown fields are skipped. */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include "base/attr.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include "proto/common.pb-c.h"

#include <stddef.h>
#include <stdint.h>

/* Append the message: 0 or -ENOMEM. `message` is &something.base. */
MUST_CHECK int proto_pack(const ProtobufCMessage *message, struct buf *ret, struct err *err);
/* *ret_message is a pointer to the generated type's pointer, for SCOPED(proto). -EBADMSG: the bytes
 * are no such message, hold a string that is not UTF-8, or there is no memory for it. A string ends
 * at its first NUL. */
MUST_CHECK int proto_unpack(const ProtobufCMessageDescriptor *type, struct bytes bytes,
                            void *ret_message, struct err *err);
/* For a variable of any `Wire__X *` type that proto_unpack() filled. */
void scoped_proto(void *message_pointer);

/* Labels. An array that borrows the strings of `map`, in its order; `items` goes into the message's
 * field. */
struct proto_pairs {
    size_t count;
    Wire__Pair **items;  /* NULL when count is 0 */
    Wire__Pair *storage; /* what they point to */
};
#define PROTO_PAIRS_NONE                                                                           \
    {                                                                                              \
        .count = 0, .items = NULL, .storage = NULL                                                 \
    }
MUST_CHECK int proto_pairs_of(const struct text_map *map,
                              struct proto_pairs *ret); /* NULL map: none; 0 or -ENOMEM */
void proto_pairs_fini(struct proto_pairs *pairs);
DEFINE_SCOPED_VALUE(proto_pairs, struct proto_pairs, proto_pairs_fini)
/* Adds to *map; a later pair of the same key wins, as in any protobuf map. 0 or -ENOMEM. */
MUST_CHECK int proto_pairs_to_map(size_t count, Wire__Pair *const *pairs, struct text_map *map);
/* Adds to *list: 0 or -ENOMEM. */
MUST_CHECK int proto_strings_to_list(size_t count, char *const *strings, struct text_list *list);

Wire__Timestamp proto_time(int64_t since_1970_ns);

#endif
