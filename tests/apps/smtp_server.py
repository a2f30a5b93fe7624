"""A mail server for tests: MODE (starttls, tls, none) and a folder with server.crt and server.key.

It prints its port, and then a line of JSON for each message. With TLS it wants the user dcm with the password s3cret.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

MODE, FOLDER = sys.argv[1:3]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        has_tls = server.transport.get_extra_info("sslcontext") is not None
        message = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": has_tls}
        print(json.dumps({**message, "data": envelope.content.decode()}), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    is_known = isinstance(data, LoginPassword) and (data.login, data.password) == (b"dcm", b"s3cret")
    return AuthResult(success=is_known, handled=False)


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if MODE != "none":
        context.load_cert_chain(f"{FOLDER}/server.crt", f"{FOLDER}/server.key")

    def session():
        return SMTP(
            Handler(),
            hostname="localhost",
            tls_context=context if MODE == "starttls" else None,
            require_starttls=MODE == "starttls",
            authenticator=authenticate,
            auth_required=MODE != "none",
            auth_require_tls=MODE == "starttls",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=context if MODE == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
