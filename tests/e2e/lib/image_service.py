#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""image_service.py – a kubelet's calls of the image service of CRI, with Debian's gRPC.

    image_service.py SOCKET pull IMAGE [USER PASSWORD]
    image_service.py SOCKET remove IMAGE
    image_service.py SOCKET list

What comes back is printed in hexadecimal digits; an error is one line on stderr, with its code, and exit code 1.
"""
import sys

import grpc


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    value = value if isinstance(value, bytes) else value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def main(socket, verb, *args):
    request = field(1, field(1, args[0])) if args else b""
    if len(args) > 1:
        request += field(2, field(1, args[1]) + field(2, args[2]))
    method = {"pull": "PullImage", "remove": "RemoveImage", "list": "ListImages"}[verb]
    options = [("grpc.default_authority", "localhost")]
    with grpc.insecure_channel("unix:" + socket, options=options) as channel:
        call = channel.unary_unary("/runtime.v1.ImageService/" + method)
        try:
            print(call(request, timeout=60).hex())
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")


main(*sys.argv[1:])
