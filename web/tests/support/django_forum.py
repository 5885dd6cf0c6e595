"""Runs the guide's Django view and template: a forum of one thread, whose user is 7.

Reads {"views", "template", "onetap", "requests": [{"method", "path", "data"}]} and answers what each request is answered.
"""

import json
import sys
import types

import django
from django.conf import settings

given = json.load(sys.stdin)


class Post:
    """Stands in for the forum's model; what is tested is the view and the template."""

    def __init__(self, pk, text):
        self.pk, self.text, self.thread = pk, text, 1


POSTS = [Post(41, "The first post."), Post(42, "The second post.")]
Post.objects = types.SimpleNamespace(
    filter=lambda thread: [post for post in POSTS if post.thread == thread],
    get=lambda pk: next(post for post in POSTS if post.pk == pk),
)
sys.modules["forum"] = types.ModuleType("forum")
sys.modules["forum.models"] = types.ModuleType("forum.models")
sys.modules["forum.models"].Post = Post


def signed_in(get_response):
    def middleware(request):
        request.user = types.SimpleNamespace(pk=7)
        return get_response(request)

    return middleware


this = sys.modules["forum_urls"] = types.ModuleType("forum_urls")
this.signed_in = signed_in
loader = ("django.template.loaders.locmem.Loader", {"forum/thread.html": given["template"]})
settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware", "forum_urls.signed_in"],
    ONETAP_URL=given["onetap"],
    ROOT_URLCONF="forum_urls",
    SECRET_KEY="of a test",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {
        "loaders": [loader], "context_processors": ["django.template.context_processors.request"]}}],
)
django.setup()

from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402

views = types.ModuleType("forum.views")
exec(compile(given["views"], "views.py", "exec"), views.__dict__)
this.urlpatterns = [
    path("thread/<int:thread_id>", views.thread, name="thread"),
    path("react/<int:number>", views.react, name="react"),
]

client, answers = Client(), []
for request in given["requests"]:
    send = client.post if request["method"] == "POST" else client.get
    answer = send(request["path"], request.get("data") or {})
    answers.append({"status": answer.status_code, "location": answer.headers.get("Location"), "body": answer.content.decode()})
json.dump(answers, sys.stdout)
