"""Words that say nothing about what a text is about, so that sharing them makes no two texts alike."""

from __future__ import annotations

LATIN = """
a about after again all also am an and any are as at be because been before being between but by can could day days did
do does doing done down every for from get got had has have he her here him his how i if in into is it its just like may
me more most much my near new no not now of off on one only or our out over own please she should since so some still
such than that the their them then there these they this those three through time to too two under until up us very was
way we week weeks were what when where which while who whose why will with without would you your
"""

PAIRS = """
一下 一个 一天 一年 一次 一直 三天 上午 上面 下午 下面 不不 不了 不会 不到 不好 不得 不是 不知 不能 不要 不让 不过 两个 两天 个月
为什 么时 之前 之后 也不 也没 也是 什么 今天 他们 以前 以后 但是 你们 来电 电人 人反 反映 人家 没人 有人 没有 有没 还有 还没 没法 没什
关于 几个 几天 前面 半年 可不 可以 后面 因为 多少 大家 太多 好几 如果 她们 已经 希望 应该 建议 很多 怎么 怎样 感谢 我们 所以 无法
早上 旁边 时候 时间 明天 昨天 是不 是否 晚上 有关 有点 每天 天天 现在 的时 知道 经常 总是 特别 能不 能否 自己 要几 要求 要不 让人
请求 请问 谢谢 这个 这么 这件 这样 这条 这种 这里 那个 那么 那样 那里 里面 外面 问题 附近 门口 非常 需要 小时 分钟
"""
"""Pairs of characters, as texts are cut into them."""

STOP_WORDS = frozenset((LATIN + PAIRS).split())
