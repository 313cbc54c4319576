"""The proxies whose settings the documentation shows, made runnable around a snippet."""

from __future__ import annotations

from pathlib import Path

from tests.servers.running import HOST

PROGRAMS = {"nginx": "nginx", "apache": "apache2"}
APACHE_MODULES = Path("/usr/lib/apache2/modules")
_APACHE_NEEDS = ("mpm_event", "authz_core", "proxy", "proxy_http", "reqtimeout", "headers", "wsgi")


def command(language: str, snippet: str, folder: Path, port: str) -> list[str]:
    """The command that serves the snippet in the foreground at `port`."""
    if language == "nginx":
        return ["nginx", "-c", str(_nginx(snippet, folder, port))]
    return ["apache2", "-DFOREGROUND", "-f", str(_apache(snippet, folder, port))]


def checking(language: str, snippet: str, folder: Path, port: str) -> list[str]:
    """The command that only looks at the snippet's grammar."""
    words = command(language, snippet, folder, port)
    return [words[0], "-t", *[word for word in words[1:] if word != "-DFOREGROUND"]]


def _nginx(snippet: str, folder: Path, port: str) -> Path:
    server = f"server {{ listen {HOST}:{port};\n{snippet} }}"
    temporary = "".join(
        f"{kind}_temp_path {folder}/nginx-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{server} }}\n"
    )
    return path


def _apache(snippet: str, folder: Path, port: str) -> Path:
    modules = "".join(
        f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so\n"
        for name in _APACHE_NEEDS
        if (APACHE_MODULES / f"mod_{name}.so").exists()
    )
    path = folder / "apache.conf"
    path.write_text(
        f"ServerName {HOST}\nServerRoot {folder}\nListen {HOST}:{port}\n{modules}"
        f"PidFile {folder}/apache.pid\nErrorLog {folder}/apache.log\n"
        f"DefaultRuntimeDir {folder}\nMutex file:{folder}\n{snippet}\n"
    )
    return path
