"""The `ctx` command that scripts call: sends its arguments to the proxy and prints the answer; starts in a third of the time of the genuine one."""

import _socket
import os
import sys


def main() -> int:
    """One request over a raw socket; the proxy parses the arguments and says what to print and how to end."""
    url = os.environ.get("CTX_SOCKET_URL", "")
    argv = sys.argv[1:]
    for index, word in enumerate(argv):
        if word == "--socket-url" and index + 1 < len(argv):
            url = argv[index + 1]
        elif word.startswith("--socket-url="):
            url = word.partition("=")[2]
    if not url.startswith("http://"):
        sys.stderr.write(
            "ctx: CTX_SOCKET_URL is not set: this command works only inside a script that the runner started\n"
        )
        return 1
    place, _, path = url[7:].partition("/")
    host, _, port = place.rpartition(":")
    body = b"".join(os.fsencode(word) + b"\0" for word in argv)
    head = f"POST /{path}/argv HTTP/1.0\r\nHost: {place}\r\nContent-Length: {len(body)}\r\n\r\n"
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    sock.connect((host, int(port)))
    data = memoryview(head.encode() + body)
    while data:
        data = data[sock.send(data) :]
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    header, _, content = b"".join(parts).partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in header.split(b"\r\n")[1:] if b": " in line)
    if b"Ctx-Exit" not in fields:
        sys.stderr.write("ctx: refused by the runner\n")
        return 1
    stream = sys.stderr if fields[b"Ctx-Stream"] == b"2" else sys.stdout
    stream.buffer.write(content)
    stream.flush()
    return int(fields[b"Ctx-Exit"])


if __name__ == "__main__":
    try:
        code = main()
    except OSError as error:
        sys.stderr.write(f"ctx: cannot reach the runner: {error}\n")
        code = 1
    sys.exit(code)
