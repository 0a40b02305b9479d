"""Pages for citizens, as a browser without JavaScript uses them: all four services, in this process."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from services.four import SERVICES
from shared.http.server import as_operator
from shared.runtime import opened
from shared.settings import PlatformSettings
from tests.support.eventually import eventually

EVIL = [
    "<script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "{{7*7}}",
    "{% raw %}{{config}}{% endraw %}",
    "${7*7}",
    "%(body)s",
    "{0.__class__}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<style>@import'//evil.example'</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<form action=//evil.example><input name=code>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<!--><script>alert(1)</script>-->",
    "]]><script>alert(1)</script>",
    "\u2028<script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<details open ontoggle=alert(1)>",
    "<object data=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<body onload=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<xss id=x tabindex=1 onfocus=alert(1)></xss>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    "<img src=x:x onerror=alert(1)//",
    "<img/src/onerror=alert(1)>",
    "<IMG SRC=JaVaScRiPt:alert(1)>",
    "<img srcset='//evil.example 1x'>",
    "<input autofocus onfocus=alert(1)>",
    "<select autofocus onfocus=alert(1)>",
    "<textarea autofocus onfocus=alert(1)></textarea>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<marquee onstart=alert(1)>",
    "<audio src onerror=alert(1)>",
    "<embed src=//evil.example>",
    "<applet code=x></applet>",
    "<frameset onload=alert(1)>",
    "<table background=javascript:alert(1)>",
    "<div style=background:url(//evil.example)>",
    "<div style='width:expression(alert(1))'>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</p></div></main><script>alert(1)</script>",
    "--><script>alert(1)</script><!--",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    '" onmouseover="alert(1)" data-x="',
    "' onmouseover='alert(1)' data-x='",
    "` onmouseover=`alert(1)`",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
]
"""Sixty ways to leave a text; each is told back as text and nothing else."""

OURS = re.compile(
    r'value="[^"<>]*"|<textarea[^>]*>[^<]*</textarea>|<p class="citizen[^>]*>[^<]*</p>'
    r'|<script type="module" src="/static/portal\.js\?v=[0-9a-f]+"></script>'
)
"""Where a person's words may stand, and the page's own script."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    data: Path = tmp_path_factory.mktemp("pages") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTAKE_RATE", "off")
        async with opened(SERVICES, PlatformSettings(data=data)) as installation:
            transport = httpx2.ASGITransport(app=as_operator(installation.app))
            async with httpx2.AsyncClient(transport=transport, base_url="http://town") as client:

                async def ready() -> bool:
                    return (await client.get("/ready")).status_code == 200

                await eventually(ready, within=30)
                yield client


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return html.unescape(found[1])


async def submitted(client: httpx2.AsyncClient, text: str, **more: str) -> tuple[str, str]:
    answer = await client.post("/", data={"text": text, **more})
    assert answer.status_code == 201, answer.text
    return hidden(answer.text, "number"), hidden(answer.text, "code")


@pytest.mark.asyncio(loop_scope="module")
class TestPages:
    async def test_a_person_submits_and_follows_without_javascript(self, client: httpx2.AsyncClient) -> None:
        number, code = await submitted(client, "和平路的路灯不亮了", kind="help")

        async def assigned() -> str | None:
            page = (await client.post("/track", data={"number": number, "code": code})).text
            return page if "路灯管理所" in page else None

        page = await eventually(assigned)
        assert "和平路的路灯不亮了" in page
        added = await client.post(
            "/track", data={"number": number, "code": code, "action": "message", "text": "还是不亮", "key": "k1"}
        )
        assert added.status_code == 200
        assert "还是不亮" in added.text

    async def test_the_same_page_in_english(self, client: httpx2.AsyncClient) -> None:
        page = (await client.get("/?lang=en")).text
        assert '<html lang="en">' in page
        assert "What would you like to say?" in page

    async def test_a_double_click_makes_one_case(self, client: httpx2.AsyncClient) -> None:
        key = hidden((await client.get("/")).text, "key")
        first = await submitted(client, "公交车总是晚点", key=key)
        assert await submitted(client, "公交车总是晚点", key=key) == first

    async def test_errors_keep_what_was_written(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post(
            "/?lang=en", data={"text": "Bus stop", "email": "li.example.org", "address": "Hospital"}
        )
        assert answer.status_code == 422
        assert 'value="li.example.org"' in answer.text
        assert 'value="Hospital"' in answer.text
        assert "Bus stop</textarea>" in answer.text
        assert 'href="#email"' in answer.text
        assert 'aria-describedby="email-error"' in answer.text

    async def test_a_wrong_code_and_an_unknown_number_get_the_same_page(self, client: httpx2.AsyncClient) -> None:
        number, code = await submitted(client, "学校门口太堵")
        wrong = await client.post("/track", data={"number": number, "code": "0" * 26})
        unknown = await client.post("/track", data={"number": "20200101-00000000-0", "code": code})
        misspelt = await client.post("/track", data={"number": number, "code": "é"})
        assert {wrong.status_code, unknown.status_code, misspelt.status_code} == {404}

        def bare(page: str) -> str:
            return re.sub(r'value="[^"]*"', "", page)

        assert bare(wrong.text) == bare(unknown.text) == bare(misspelt.text)

    @pytest.mark.row("A16")
    @pytest.mark.parametrize("evil", EVIL)
    async def test_what_people_write_is_told_back_as_text(self, client: httpx2.AsyncClient, evil: str) -> None:
        answer = await client.post("/", data={"text": evil, "address": "x" * 201 + evil, "email": evil, "phone": evil})
        assert answer.status_code == 422
        number, code = await submitted(client, evil)
        case = await client.post("/track", data={"number": number, "code": code})
        tracked = await client.post("/track", data={"number": evil, "code": evil})
        for page in (answer.text, case.text, tracked.text):
            outside = OURS.sub("", page)
            assert "evil.example" not in outside
            assert not re.search(r"<script|onerror|onload|onfocus|ontoggle|<iframe|<svg onload", outside, re.I)
            assert "49" not in re.findall(r'<p class="citizen[^>]*>([^<]*)</p>', page)
        assert html.escape(evil.strip("\u2028"), quote=False)[:20] in case.text.replace("&#34;", '"').replace(
            "&#39;", "'"
        )

    async def test_a_file_in_the_form_is_refused_in_words(self, client: httpx2.AsyncClient) -> None:
        answer = await client.post("/", data={"text": "x"}, files={"a": ("a.txt", b"x")})
        assert answer.status_code == 400
        assert "没有读懂您的请求" in answer.text

    async def test_where_nothing_is_a_person_is_told_in_words_and_a_program_in_json(
        self, client: httpx2.AsyncClient
    ) -> None:
        browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "en"}
        for path in ("/nothing", "/track/20200101-00000000-0", "/v1/nothing"):
            told = await client.get(path, headers=browser)
            assert (told.status_code, told.headers["content-type"]) == (404, "text/html; charset=utf-8")
            assert "No such page" in told.text
            assert (await client.get(path)).headers["content-type"] == "application/problem+json"
        wrong = await client.get("/v1/feedback/20200101-00000000-0", headers=browser)
        assert wrong.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("name", ["..%2f..%2fpages.py", "%2e%2e/pages.py", "tokens.css%00", "nothing.css"])
    async def test_only_known_static_files_exist(self, client: httpx2.AsyncClient, name: str) -> None:
        assert (await client.get(f"/static/{name}")).status_code == 404

    async def test_private_pages_are_never_cached_and_static_files_are(self, client: httpx2.AsyncClient) -> None:
        assert (await client.get("/track")).headers["cache-control"] == "no-store"
        assert "max-age" in (await client.get("/static/page.css")).headers["cache-control"]

    async def test_a_page_weighs_little(self, client: httpx2.AsyncClient) -> None:
        for path in ("/", "/track", "/insights"):
            assert len((await client.get(path)).content) < 60 * 1024
