"""Email by SMTP. A lost answer can mean a second message: SMTP has no key by which a server knows a repeat."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formataddr

import aiosmtplib

from services.alerting.paging import Stage
from services.core.errors import DeliveryError, MessageRefusedError
from services.delivery.pages import Page

TIMEOUT_S = 20.0
PERMANENT = 500  # reply codes from here on are final


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server; `username` is empty if it asks for none."""

    host: str
    port: int = 587
    username: str = ""
    password: str = ""
    use_tls: bool = False
    start_tls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailSink:
    """Sends one message when an alert opens, and one in the same thread when it ends."""

    server: SmtpServer
    sender: str
    recipients: tuple[str, ...]
    subject: Callable[[Page], str]
    body: Callable[[Page], str]
    kind: str = "email"
    stages: frozenset[Stage] = frozenset({Stage.OPEN, Stage.ENDED})
    shows_changes: bool = False
    repeats_safely: bool = False

    async def show(self, page: Page) -> str:
        """Send a message about the page's stage; return its Message-ID. Raises DeliveryError."""
        first_id = self._message_id(page.alert.id, Stage.OPEN)
        message = self._message(self.subject(page), self.body(page))
        message["Message-ID"] = self._message_id(page.alert.id, page.stage)
        if page.stage is not Stage.OPEN:
            message["In-Reply-To"] = message["References"] = first_id
        await self._send(message)
        return str(message["Message-ID"])

    async def test(self, key: str, channel_name: str) -> str:
        """Send a message titled TEST. Raises DeliveryError."""
        message = self._message(f"TEST: MinerPulse pages for {channel_name}", "This is a test. No action needed.")
        message["Message-ID"] = f"<test-{abs(hash(key))}@{self._domain}>"
        await self._send(message)
        return str(message["Message-ID"])

    @property
    def _domain(self) -> str:
        return self.sender.rpartition("@")[2]

    def _message_id(self, alert_id: int, stage: Stage) -> str:
        return f"<alert-{alert_id}-{stage.value}@{self._domain}>"

    def _message(self, subject: str, body: str) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = " ".join(subject.split())
        message["From"] = formataddr(("MinerPulse", self.sender))
        message["To"] = ", ".join(self.recipients)
        message.set_content(body)
        paragraphs = "".join(f"<p>{html.escape(line)}</p>" for line in body.splitlines() if line)
        message.add_alternative(f"<html><body>{paragraphs}</body></html>", subtype="html")
        return message

    async def _send(self, message: EmailMessage) -> None:
        server = self.server
        try:
            await aiosmtplib.send(
                message,
                hostname=server.host,
                port=server.port,
                username=server.username or None,
                password=server.password or None,
                use_tls=server.use_tls,
                start_tls=server.start_tls,
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPException as error:
            raise _delivery_error(server.host, error) from error
        except OSError as error:
            raise DeliveryError(f"No connection to {server.host}.", permanent=False, surely_not_posted=True) from error


def _delivery_error(host: str, error: aiosmtplib.SMTPException) -> DeliveryError:
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            problem = f"{host} rejected the user name or password."
            return DeliveryError(problem, permanent=True, surely_not_posted=True)
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            code = max(one.code for one in refused)
            if code >= PERMANENT:
                return MessageRefusedError(
                    f"{host} rejected the recipients ({code}).", permanent=False, surely_not_posted=True
                )
            return DeliveryError(f"{host} deferred the recipients ({code}).", permanent=False, surely_not_posted=True)
        case aiosmtplib.SMTPResponseException(code=code):
            is_final = code >= PERMANENT
            return DeliveryError(f"{host} returned SMTP code {code}.", permanent=is_final, surely_not_posted=True)
        case aiosmtplib.SMTPConnectError():
            return DeliveryError(f"No connection to {host}.", permanent=False, surely_not_posted=True)
        case _:
            name = type(error).__name__
            return DeliveryError(f"{host} didn't respond ({name}).", permanent=False, surely_not_posted=False)
