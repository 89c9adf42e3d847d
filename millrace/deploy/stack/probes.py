"""The shortest question to each server whose answer means that it serves.

A probe asks once over a connection of its own and never tries again: who waits, decides how long.
"""

import http.client
import socket
import struct

from millrace.deploy.stack.places import HOST

WITHIN_S = 1.0
# CQL's OPTIONS frame in version 4; a server that takes clients answers SUPPORTED.
CQL_OPTIONS, CQL_OPCODE, CQL_SUPPORTED = bytes.fromhex("040000000500000000"), 4, 6
# Kafka's Metadata request, version 1, naming no topic: a broker answers with the brokers that it
# knows, and knows itself only once the controller has let it in.
KAFKA_METADATA, KAFKA_VERSION, KAFKA_CORRELATION = 3, 1, 7


def asked(port: int, question: bytes, answer_bytes: int) -> bytes:
    """The first bytes of the answer; fewer, or none, where there is no such answer."""
    answer = b""
    try:
        with socket.create_connection((HOST, port), WITHIN_S) as connection:
            connection.sendall(question)
            while len(answer) < answer_bytes:
                piece = connection.recv(answer_bytes - len(answer))
                if not piece:
                    break
                answer += piece
    except OSError:
        return answer
    return answer


def cassandra(port: int) -> bool:
    answer = asked(port, CQL_OPTIONS, CQL_OPCODE + 1)
    return len(answer) > CQL_OPCODE and answer[CQL_OPCODE] == CQL_SUPPORTED


def kafka(port: int) -> bool:
    """The answer: size, correlation, then the number of brokers."""
    client, no_topics = struct.pack(">h", -1), struct.pack(">i", 0)
    head = struct.pack(">hhi", KAFKA_METADATA, KAFKA_VERSION, KAFKA_CORRELATION)
    request = head + client + no_topics
    answer = asked(port, struct.pack(">i", len(request)) + request, 12)
    if len(answer) < 12:
        return False
    correlation, brokers = int.from_bytes(answer[4:8]), int.from_bytes(answer[8:12])
    return correlation == KAFKA_CORRELATION and brokers > 0


def redis(port: int) -> bool:
    """A server that still loads its file says -LOADING."""
    return asked(port, b"PING\r\n", 5) == b"+PONG"


def healthy(port: int, path: str) -> bool:
    """Whether an HTTP GET of the path answers 200."""
    connection = http.client.HTTPConnection(HOST, port, timeout=WITHIN_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
