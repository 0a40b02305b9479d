"""Plain sentences reach the department that can act; what says nothing goes to a person."""

from __future__ import annotations

import pytest

from services.routing.classifier import Classifier
from services.routing.domain.organisation_file import read_organisation
from tests.unit.routing.building import SAMPLE, SMALL, small_town

CLASSIFIER = Classifier.of(read_organisation(SAMPLE.read_text(), "organisation.yaml", "v1"))

SENTENCES = [
    ("和平路的路灯不亮了", "lighting"),
    ("我家门口的街灯坏了半个月，晚上漆黑一片", "lighting"),
    ("学校门口的路灯坏了没人修", "lighting"),
    ("公交站旁边的路灯一直闪", "lighting"),
    ("小区外面路灯杆被车撞歪了", "lighting"),
    ("The street lamp on Peace Road is broken", "lighting"),
    ("Three streetlights outside my house have been out for a week", "lighting"),
    ("The lamp post near the school is leaning over", "lighting"),
    ("It is too dark at night because the street-light by the bus stop is off", "lighting"),
    ("小区停水了水管爆裂", "water"),
    ("我们这里已经断水两天了", "water"),
    ("自来水发黄还有异味，能不能喝", "water"),
    ("水表走得太快，水费比上个月多一倍", "water"),
    ("下水道堵了，污水井往外冒水", "water"),
    ("一下雨街口就积水，排水不畅", "water"),
    ("A water pipe burst on Main Street", "water"),
    ("We have had no water since this morning", "water"),
    ("Brown water is coming out of the tap", "water"),
    ("The storm drain is blocked and the corner is flooded", "water"),
    ("My water bill doubled this month", "water"),
    ("公交车总是晚点", "transport"),
    ("3路公交线路能不能延长到新区", "transport"),
    ("出租车司机拒载，还绕路", "transport"),
    ("末班车太早，下班坐不上", "transport"),
    ("汽车站候车厅没有座位", "transport"),
    ("The bus is always late", "transport"),
    ("Buses on line 5 do not stop when it rains", "transport"),
    ("The taxi driver refused to switch the meter on", "transport"),
    ("Could the last bus leave half an hour later?", "transport"),
    ("垃圾没人清运", "sanitation"),
    ("楼下垃圾桶满了三天，臭味很大", "sanitation"),
    ("学校旁边的垃圾堆成山", "sanitation"),
    ("公厕太脏，没有人打扫", "sanitation"),
    ("有人半夜在河边倾倒建筑垃圾", "sanitation"),
    ("Rubbish has not been collected", "sanitation"),
    ("The garbage bins behind the market hall are overflowing", "sanitation"),
    ("Somebody keeps dumping trash next to our gate", "sanitation"),
    ("The public toilet in the square is filthy", "sanitation"),
    ("The bus stop is full of litter", "sanitation"),
    ("学校门口太乱，孩子过马路不安全", "education"),
    ("学校门口放学的时候堵车很厉害", "education"),
    ("实验小学的食堂饭菜是冷的", "education"),
    ("老师在校外办补习班收费", "education"),
    ("幼儿园学费又涨了", "education"),
    ("孩子入学需要哪些材料", "education"),
    ("The primary school has no heating", "education"),
    ("My daughter's teacher asks for money for extra lessons", "education"),
    ("When does enrolment at the middle school begin?", "education"),
    ("The kindergarten closes too early for working parents", "education"),
    ("人民路路面有个大坑，差点摔跤", "roads"),
    ("井盖丢了，人行道地砖也碎了", "roads"),
    ("There is a huge pothole in front of the post office", "roads"),
    ("The sidewalk is cracked and my wheelchair gets stuck", "roads"),
    ("红绿灯坏了，路口乱成一团", "public-security"),
    ("楼下有人聚众赌博，派出所也不管", "public-security"),
    ("Cars are parked illegally in front of the fire station", "public-security"),
    ("The traffic lights at the crossing are out", "public-security"),
    ("物业公司收了物业费却不修电梯", "housing"),
    ("开发商迟迟不交房", "housing"),
    ("The elevator in our building has been out of order for months", "housing"),
    ("工地夜里施工噪音扰民，睡不着", "environment"),
    ("化工厂偷偷排放废气", "environment"),
    ("Loud music from the bar keeps us awake", "environment"),
    ("Black smoke comes from the factory chimney", "environment"),
    ("包工头拖欠工资三个月", "social-security"),
    ("退休后养老金怎么计算", "social-security"),
    ("My employer has not paid my wages", "social-security"),
    ("县医院挂号排队要两个小时", "health"),
    ("Where can I get a flu vaccine?", "health"),
    ("超市卖过期食品", "market"),
    ("The restaurant overcharged us and refuses a refund", "market"),
    ("公园里的大树倒了", "parks"),
    ("A branch fell on the playground", "parks"),
]

UNCLEAR = [
    "",
    "   ",
    "你好",
    "请问",
    "谢谢你们的工作",
    "这个问题什么时候能解决",
    "asdf qwer zxcv",
    "Hello",
    "I have a question about something",
    "Please call me back",
    "12345",
    "🙂🙂🙂",
    "水管坏了，垃圾也没人管",
    "The street light is out and the rubbish was not collected and the bus is late",
]


@pytest.mark.parametrize(("sentence", "department"), SENTENCES)
def test_a_plain_sentence_reaches_its_department(sentence: str, department: str) -> None:
    assigned = CLASSIFIER.assign(sentence)
    assert assigned.department == department, assigned.explanation
    assert assigned.category
    assert CLASSIFIER.organisation.categories[assigned.category].department == department


@pytest.mark.parametrize("sentence", UNCLEAR)
def test_what_says_nothing_or_too_much_is_left_to_a_person(sentence: str) -> None:
    assigned = CLASSIFIER.assign(sentence)
    assert (assigned.department, assigned.category) == (None, None), assigned.explanation
    assert assigned.explanation.confidence < assigned.explanation.bar


def test_the_explanation_says_which_words_decided_and_what_came_next() -> None:
    assigned = CLASSIFIER.assign("学校门口的路灯不亮了")
    explanation = assigned.explanation
    assert (explanation.method, explanation.version, explanation.bar) == ("keywords", "v1", 0.5)
    assert explanation.words == ("不亮", "学校门口", "路灯")
    assert list(explanation.scores) == ["street-lamp", "schools", "lighting"]
    assert 0.5 <= explanation.confidence < 1


def test_the_same_words_give_the_same_explanation() -> None:
    for sentence, _ in SENTENCES:
        assert CLASSIFIER.assign(sentence) == CLASSIFIER.assign(sentence)


def test_a_word_inside_a_longer_keyword_does_not_count() -> None:
    assert CLASSIFIER.assign("school bus").explanation.words == ("school bus",)
    assert CLASSIFIER.assign("公交车").explanation.words == ("公交车",)


def test_an_english_keyword_is_whole_words_and_their_plurals() -> None:
    assert CLASSIFIER.assign("the business of the trainer").explanation.words == ()
    assert CLASSIFIER.assign("BUSES").explanation.words == ("bus",)
    assert CLASSIFIER.assign("two burglaries").explanation.words == ("burglary",)


@pytest.mark.parametrize("given", ["rubbish", "sanitation"])
def test_what_the_citizen_chose_is_taken(given: str) -> None:
    assigned = CLASSIFIER.assign("The bus is always late", given)
    assert (assigned.department, assigned.explanation.method) == ("sanitation", "given")
    assert assigned.explanation.confidence == 1.0


def test_a_department_may_be_chosen_without_a_category() -> None:
    assigned = CLASSIFIER.assign("The bus is always late", "urban-management")
    assert (assigned.department, assigned.category) == ("urban-management", None)


def test_a_choice_that_does_not_exist_is_no_choice() -> None:
    assert CLASSIFIER.assign("The bus is always late", "spaceships").department == "transport"


def test_the_area_is_the_one_that_the_words_or_the_place_name() -> None:
    assert CLASSIFIER.assign("北河镇的路灯不亮了").area == "beihe"
    assert CLASSIFIER.assign("No water", place="12 Mill Lane, Nanping Township").area == "nanping"
    assert CLASSIFIER.assign("No water").area is None


def test_the_bar_is_the_organisations() -> None:
    strict = Classifier.of(small_town(SMALL.replace("confidence_bar: 0.5", "confidence_bar: 0.9")))
    assert strict.assign("lamp").department is None
    assert Classifier.of(small_town()).assign("lamp").department == "lighting"
