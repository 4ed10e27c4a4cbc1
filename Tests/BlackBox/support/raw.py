"""Requests byte by byte, as no library would send them."""

import socket


def connect(gate, seconds=20):
    return socket.create_connection(("127.0.0.1", gate.port), timeout=seconds)


def rest(sock):
    """What comes until the server closes; fails when it does not."""
    answer = b""
    try:
        while chunk := sock.recv(65536):
            answer += chunk
    except ConnectionResetError:
        pass
    return answer


def said(gate, text, seconds=20):
    with connect(gate, seconds) as sock:
        sock.sendall(text.encode())
        return rest(sock)


def heads(sock, count):
    """So many answers with a Content-Length."""
    file, found = sock.makefile("rb"), []
    for _ in range(count):
        lines = []
        while (line := file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode().strip().lower())
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        file.read(length)
        found.append(lines)
    return found
