"""Text that is slow to compare costs no more than plain text of its length, wherever a stranger can put it.

Swift compares and hashes text by what it looks like, which is quadratic in a run of combining marks. Here such a run
goes into every field, header and parameter that openapi.json knows, into those that every request may have, and
into the bank's, and what the server's processor spends on it is held against what it spends on plain text.
"""

import json
import os
import socket
import urllib.parse

import pytest

from support.gate import running, web

# What the requests may cost beyond a multiple of the plain ones', in seconds: the clock ticks in hundredths.
ALLOWANCE, MULTIPLE = 0.25, 8
# How often each is sent: a head holds little, so that one alone would cost tenths of a second at most.
REPEATS = 3
# The head of a request may be 32 kB, one field of it 16; a body 64 kB. Bytes that are percent-encoded are three.
IN_HEAD, IN_BODY = 15_000, 64_000

# Read of every request, by us or by the libraries before us.
EVERYWHERE = ["Authorization", "Accept-Language", "Cookie", "Origin", "Sec-Fetch-Site", "If-None-Match", "Content-Type",
              "X-Requested-With", "X-Request-Id", "X-Forwarded-For", "Expect", "User-Agent", "Accept-Encoding", "Host",
              "Prefer", "Idempotency-Key", "webhook-id", "webhook-timestamp", "webhook-signature"]


def marks(size):
    """The worst order: every mark of the second half belongs before all of the first."""
    return "\u0301" * (size // 4) + "\u0327" * (size // 4)


def plain(size):
    return "x" * (size // 4 * 4)


def escaped(text):
    return "".join(f"\\u{ord(character):04x}" for character in text)


def encodings(size, text):
    """The text as its bytes, and percent-encoded, in so many bytes."""
    yield text(size).encode()
    yield "".join(f"%{byte:02X}" for byte in text(size // 3).encode()).encode()


class Target:
    """A server, and what its process has cost so far."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    def seconds(self):
        fields = open(f"/proc/{self.process.process.pid}/stat").read().rpartition(")")[2].split()  # noqa: SIM115
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def send(self, method, path, headers, body):
        head = b"%s %s HTTP/1.1\r\n" % (method.encode(), path)
        if not any(name.lower() == "host" for name, _ in headers):
            head += b"Host: 127.0.0.1:%d\r\n" % self.port
        for name, value in headers:
            head += b"%s: %s\r\n" % (name.encode(), value)
        head += b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        with socket.create_connection(("127.0.0.1", self.port), timeout=90) as connection:
            try:
                connection.sendall(head + body)
                answer = connection.recv(65536)
            except ConnectionError:
                return b""
        return answer[:12]

    def cost(self, request):
        before = self.seconds()
        for _ in range(REPEATS):
            answer = self.send(*request)
        # Once more, so that what the first left behind is counted, too.
        self.send("GET", b"/healthz", [], b"")
        return self.seconds() - before, answer

    def check(self, requests):
        """Each is a name, the hostile request and the plain one."""
        wrong, count = [], 0
        for name, hostile, harmless in requests:
            allowed = ALLOWANCE + MULTIPLE * self.cost(harmless)[0]
            spent, answer = self.cost(hostile)
            count += 1
            if spent > allowed or answer.startswith(b"HTTP/1.1 5"):
                wrong.append(f"{name}: {spent:.2f} s where {allowed:.2f} s are allowed; {answer!r}")
            if len(wrong) == 5:
                break
        assert count > 0
        assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with running(tmp_path_factory.mktemp("marks")) as gate:
        yield gate


@pytest.fixture(scope="module")
def server(house):
    return Target(house.process, house.port)


@pytest.fixture(scope="module")
def operations(house):
    """Every operation with a request that it takes: method, path with its parameters, headers, body, description."""
    document = web.get(f"{house.url}/openapi.json").json()
    order, other = house.order(), house.order()
    paid = house.pay(order).json()
    refund = house.call("POST", f"/v1/payments/{paid['id']}/refunds", headers={"Idempotency-Key": "k"},
                        json={"amount": 1}).json()
    reference = web.post(f"{house.url}/demo/orders", data={"product": "tea"}).headers["location"].rpartition("/")[2]
    known = {"/v1/orders": order["id"], "/v1/payments": paid["id"], "/v1/refunds": refund["id"], "/checkout": paid["id"],
             "/return": paid["number"], "/v1/operator": "cas_" + paid["id"][4:], "token": order["checkout_url"].rpartition("/")[2], "name": "sandbox",
             "reference": reference}

    def resolve(schema):
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    found = []
    for path, item in document["paths"].items():
        prefix = "/" + "/".join(path.strip("/").split("/")[:2 if path.startswith("/v1") else 1])
        for method, operation in item.items():
            parameters = operation.get("parameters", [])
            values = {p["name"]: known.get(p["name"]) or known[prefix] for p in parameters if p["in"] == "path"}
            bodies = {kind: resolve(content["schema"])
                      for kind, content in operation.get("requestBody", {}).get("content", {}).items()}
            found.append((method.upper(), path, values, parameters, bodies))
    assert len(found) > 30 and other
    return found


def filled(path, values):
    for name, value in values.items():
        path = path.replace("{%s}" % name, value if isinstance(value, str) else value.decode("latin-1"))
    return path.encode("latin-1")


def login(house):
    return [("Authorization", f"Bearer {house.key}".encode())]


def test_paths_and_queries(house, server, operations):
    def requests():
        for method, path, values, parameters, _ in operations:
            for parameter in parameters:
                for hostile, harmless in zip(encodings(IN_HEAD, marks), encodings(IN_HEAD, plain), strict=True):
                    def request(text):
                        name = parameter["name"]
                        target = filled(path, {**values, name: text} if parameter["in"] == "path" else values)
                        if parameter["in"] == "query":
                            target += b"?" + name.encode() + b"=" + text
                        return method, target, login(house), b""
                    if parameter["in"] != "header":
                        yield f"{method} {path}, {parameter['name']}", request(hostile), request(harmless)
            # A parameter that there is not, and a path that begins with one.
            yield (f"{method} {path}, a query",
                   (method, filled(path, values) + b"?" + marks(IN_HEAD).encode() + b"=1", login(house), b""),
                   (method, filled(path, values) + b"?" + plain(IN_HEAD).encode() + b"=1", login(house), b""))
        for before in (b"/", b"/v1/", b"/checkout/", b"/demo/", b"", b"http://"):
            yield (f"{before.decode()}…", ("GET", before + marks(IN_HEAD).encode(), [], b""),
                   ("GET", before + plain(IN_HEAD).encode(), [], b""))

    server.check(requests())


def test_other_bytes_in_a_path_are_no_http(server):
    """So that routes, which are found before anything of ours is asked, are always found in ASCII."""
    for path in ("/\u0301", "/demo?lang=\u0301", "/checkout/\u0301", "\u0301", "http://\u0301/demo"):
        assert server.send("GET", path.encode(), [], b"") == b"HTTP/1.1 400"


def test_headers(house, server, operations):
    def requests():
        for method, path, values, parameters, bodies in operations:
            body = b'{"provider":"sandbox"}' if "application/json" in bodies else b""
            for name in {*EVERYWHERE, *(p["name"] for p in parameters if p["in"] == "header")}:
                for before in (b"", b"Bearer ") if name == "Authorization" else (b"",):
                    def request(text):
                        headers = [(n, v) for n, v in login(house) if n != name]
                        return method, filled(path, values), [*headers, (name, before + text)], body
                    yield f"{method} {path}, {name}", request(marks(IN_HEAD).encode()), request(plain(IN_HEAD).encode())

    server.check(requests())


def test_cookies(server):
    for shape in (b"%s=1", b"payonce_language=%s", b"a=1; %s=1; b=2"):
        server.check([(shape.decode(), *(("GET", b"/demo", [("Cookie", shape % text(IN_HEAD).encode())], b"")
                                         for text in (marks, plain)))])


def json_bodies(schema, text):
    """The text as every member's value and name, as bytes and as escapes, alone and beside what is right."""
    for written in (text(IN_BODY), escaped(text(IN_BODY // 6))):
        quoted = f'"{written}"'
        yield "a name", f"{{{quoted}:0}}"
        yield "a text", quoted
        for name, described in schema.get("properties", {}).items():
            yield name, f'{{"{name}":{quoted}}}'
            if "object" in described.get("type", []):
                yield f"a name in {name}", f'{{"{name}":{{{quoted}:"x"}}}}'
                yield f"a value in {name}", f'{{"{name}":{{"x":{quoted}}}}}'
                # So many as are allowed, as long as they may be.
                short = {f"{n:02d}{text(160)[:38]}": text(2000)[:500] for n in range(20)}
                right = {"reference": "m", "amount": 1, "currency": "CNY", name: short}
                yield f"many in {name}", json.dumps(right, ensure_ascii=False)


def test_json(house, server, operations):
    def requests():
        for method, path, values, _, bodies in operations:
            if "application/json" not in bodies:
                continue
            schema = bodies["application/json"]
            headers = [*login(house), ("Content-Type", b"application/json"), ("Idempotency-Key", b"marks")]
            target = filled(path, values)
            for (name, hostile), (_, harmless) in zip(
                    json_bodies(schema, marks), json_bodies(schema, plain), strict=True):
                yield (f"{method} {path}, {name}", (method, target, headers, hostile.encode()),
                       (method, target, headers, harmless.encode()))

    server.check(requests())


def test_forms(server, operations):
    def requests():
        kind = "application/x-www-form-urlencoded"
        fields = {"/checkout/{token}/payments": ["idempotency_key", "method"]}
        for method, path, values, _, bodies in operations:
            # The page's own form is none of the described calls.
            if kind not in bodies and (method != "POST" or path not in fields):
                continue
            # A large form is refused by its size, so the largest that is read is tried, too.
            for size in (IN_BODY, 4000):
                for hostile, harmless in zip(encodings(size, marks), encodings(size, plain), strict=True):
                    for shape in [b"%s=1", b"%s", b"method=sandbox:%s&idempotency_key=k",
                                  b"method=%s:ok&idempotency_key=k",
                                  *(name.encode() + b"=%s" for name in fields.get(path) or bodies[kind]["properties"])]:
                        def request(text):
                            body = (shape % text)[:65_536]
                            return method, filled(path, values), [("Content-Type", kind.encode())], body
                        yield f"{method} {path}, {shape.decode()}", request(hostile), request(harmless)

    server.check(requests())


def test_the_bank(house):
    bank = Target(house.bank.process, house.bank.port)
    charge = house.pay(house.order(), method="action").json()["id"]

    def requests():
        for text, other in zip(encodings(IN_HEAD, marks), encodings(IN_HEAD, plain), strict=True):
            for path in (b"/charges/%s", b"/refunds/%s", b"/pay/%s", b"/books?charges=%s", b"/books?%s=1",
                         b"/pay/" + charge.encode() + b"?back=%s", b"/%s"):
                yield path.decode(), ("GET", path % text, [], b""), ("GET", path % other, [], b"")
        right = {"id": "pay_marks1", "amount": 1, "currency": "CNY", "method": "ok", "expires_at": None, "notify_url": None}
        for method, path, fields in (("POST", b"/charges", right), ("PUT", b"/faults", {"seed": 1}),
                                     ("POST", b"/charges/x/refunds", {"id": "refund", "amount": 1})):
            schema = {"properties": {name: {} for name in fields}}
            for (name, hostile), (_, harmless) in zip(
                    json_bodies(schema, marks), json_bodies(schema, plain), strict=True):
                yield (f"{path.decode()}, {name}", (method, path, [], hostile.encode()),
                       (method, path, [], harmless.encode()))
        for size in (IN_BODY, 4000):
            for hostile, harmless in zip(encodings(size, marks), encodings(size, plain), strict=True):
                for shape in (b"%s=1", b"action=%s", b"action=pay&back=%s"):
                    path = b"/pay/" + charge.encode()
                    yield (shape.decode(), ("POST", path, [], shape % hostile), ("POST", path, [], shape % harmless))

    bank.check(requests())


def test_forms_and_names_are_compared_as_bytes(house):
    """What only looks like a name is another one, in both directions."""
    order = house.order()
    kelvin = house.call("POST", "/v1/orders", json={"reference": "kelvin", "amount": 1, "currency": "\u212aWD"})
    assert kelvin.status_code == 400 and kelvin.json()["errors"][0]["field"] == "currency"
    twins = {"caf\u00e9": "one", "cafe\u0301": "two"}
    order = house.order(metadata=twins)
    assert house.now(order)["metadata"] == twins
    page = order["checkout_url"] + "/payments"
    answer = web.post(page, content=urllib.parse.urlencode({"idempotency_\u212aey": "a", "method": "sandbox:ok"}),
                      headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status_code == 303 and house.now(order)["payment"] is None
