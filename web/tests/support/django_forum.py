"""A forum of one thread around the guide's urls.py, views.py, tokens.py and thread.html: real users, sessions, posts and CSRF tokens.

Reads a line of JSON, {"folder", "onetap", "secret", "urls", "views", "tokens", "template"}; serves on a free port of 127.0.0.1; answers with a
line, {"url", "sessions"}, in which user 7 and user 8 are signed in; ends when nothing more can come.
"""

import json
import sys
import threading
import types
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings

given = json.loads(sys.stdin.readline())
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{given['folder']}/forum.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    LOGIN_URL="/login",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    ONETAP_SECRET_FILE=given["secret"],
    ONETAP_URL=given["onetap"],
    ROOT_URLCONF="forum.urls",
    SECRET_KEY="of a test",
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {
        "loaders": [("django.template.loaders.locmem.Loader", {"forum/thread.html": given["template"]})],
        "context_processors": ["django.template.context_processors.request"]}}],
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Thread(models.Model):
    class Meta:
        app_label = "forum"


class Post(models.Model):
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE)
    text = models.TextField()

    class Meta:
        app_label = "forum"


def module(name, **contents):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(contents)
    return sys.modules[name]


module("forum", __path__=[])
module("forum.models", Post=Post)
sys.modules["forum"].views = views = module("forum.views")
exec(compile(given["views"], "views.py", "exec"), views.__dict__)
tokens = module("forum.tokens")
exec(compile(given["tokens"], "tokens.py", "exec"), tokens.__dict__)
urls = module("forum.urls")
exec(compile(given["urls"], "urls.py", "exec"), urls.__dict__)
urls.urlpatterns.append(path("forum/onetap-token", tokens.onetap_token))

call_command("migrate", verbosity=0)
with connection.schema_editor() as editor:
    editor.create_model(Thread)
    editor.create_model(Post)
for pk in (1, 2):
    Thread.objects.create(pk=pk)  # The second has no posts.
Post.objects.create(pk=41, thread_id=1, text="The first post.")
Post.objects.create(pk=42, thread_id=1, text="The second post.")
sessions = {}
for pk in (7, 8):
    client = Client()
    client.force_login(User.objects.create(pk=pk, username=f"user{pk}"))
    sessions[pk] = client.cookies["sessionid"].value


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


server = make_server("127.0.0.1", 0, WSGIHandler(), Server, Quiet)
print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}", "sessions": sessions}), flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
