"""Rewrite answers in Chinese (and Japanese and Korean counters) in the verifier's own small LaTeX.

    300分钟 -> 300 minutes    \\frac{2}{5}吨 -> ... tons    3个 -> 3    3万 -> 3\\times 10^{4}    百分之28 -> 28%
    共有3个 -> 3              x=1或x=2 -> x=1 or x=2         无解 -> no solution              三 -> 3

A word that is not in the table stays as it is and is compared as text.

Not here: units in general (`units`), yes and no (`words`), letters of options (`choices`).
"""

from __future__ import annotations

import re

_HAN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_UNITS = """
平方千米 square km;平方公里 square km;平方厘米 square cm;平方分米 square dm;平方毫米 square mm;平方米 square meters
立方厘米 cubic cm;立方分米 cubic dm;立方米 cubic meters;米/秒 m/s;米每秒 m/s
千米每小时 km/h;公里每小时 km/h;千米/小时 km/h;千米/时 km/h;公里/小时 km/h
毫米 mm;厘米 cm;分米 dm;千米 km;公里 km;米 meters;毫克 mg;千克 kg;公斤 kg;克 grams;吨 tons;毫升 mL;升 liters
小时 hours;分钟 minutes;秒钟 seconds;秒 seconds;周 weeks;星期 weeks;个月 months;年 years;岁 years;天 days;日 days
美元 dollars;元 yuan;円 yen;원 won;角 jiao;度 \\degree;摄氏度 celsius;弧度 radians
ドル dollars;ユーロ euros;セント cents;メートル meters;センチメートル cm;センチ cm;キロメートル km
キログラム kg;グラム grams;リットル liters;時間 hours;分間 minutes;秒間 seconds;歳 years;年間 years
달러 dollars;시간 hours;분 minutes;초 seconds
미터 meters;센티미터 cm;킬로미터 km;그램 grams;킬로그램 kg;년 years;살 years
开尔文 kelvin;牛顿 newtons;焦耳 joules;瓦 watts;伏 volts
"""
_UNIT = dict(
    entry.rsplit(" ", 1) if entry.count(" ") == 1 else entry.split(" ", 1)
    for line in _UNITS.strip().splitlines()
    for entry in line.split(";")
)
_UNIT_BEHIND = re.compile(
    rf"(?<=[\d}}\)])\s*({'|'.join(sorted(map(re.escape, _UNIT), key=len, reverse=True))})[长宽高深远重]?"
    r"(?![\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af])"
)
_COUNTER = re.compile(
    r"(?<=[\d}\)])\s*(?:个|個|개|명|人|只|隻|本|张|張|件|条|條|名|位|次|块|枚|颗|棵|辆|台|箱|组|套|种|種|倍|页|朵|支|根|座|间|层|排|頁|回|匹|枝|袋|瓶|杯|双|对|份|道|题|分|步|行|列|桶|盒|场|节|艘|架)"
    r"[\u4e00-\u9fff]{0,4}(?![\u4e00-\u9fff])"
)
_LARGE = {"万": 4, "萬": 4, "亿": 8, "億": 8, "千": 3, "百": 2}
_LARGE_BEHIND = re.compile(r"(?<=\d)\s*(万|萬|亿|億|千|百)(?![分米克瓦])")
_PERCENT = re.compile(r"百分之\s*(\d+(?:\.\d+)?)")
_NOUN_BEHIND = re.compile(
    r"(?<=[\d}\)])\s*(?:(?![不非或到至以多少未和与且及分之点點無无か])[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]){1,7}\s*\Z"
)
_STATED = re.compile(
    r"\A[\s$]*(?:(?![不非没無无或])[\u4e00-\u9fff]){1,12}(?:为|是|等于|[:：])\s*(?=[\s$]*[-+\d\\(\[{])"
)
_LEAD = re.compile(
    r"\A[\s$]*(?:(?:答|解|答案|因此|所以|故|则)[:：,，]?)*(?:最终|最后|正确)?(?:答案|结果|共有?|一共有?|总共有?|大约有?|约为?|等于|为|是|有|应为|应该是|[:：,，])+(?=[\s$]*[-+\d\\(\[{A-Za-z])"
)
_SENTENCE = re.compile(
    r"\A[\s$]*(?:[答解][:：])?(?:(?![不非没無无或第至到])[\u4e00-\u9fff]){2,16}(?<![于过足])(?=[\s$]*-?\d[\d.,]*\D*\Z)"
)
_WORDS = {
    "或者": " or ",
    "或": " or ",
    "以及": " and ",
    "和": " and ",
    "与": " and ",
    "且": " and ",
    "、": ", ",
    "；": "; ",
    "，": ", ",
}
_PHRASES = {
    "无解": "no solution", "無解": "no solution", "无实数解": "no real solution",
    "没有解": "no solution", "空集": r"\emptyset",
    "全体实数": "all real numbers", "所有实数": "all real numbers", "任意实数": "all real numbers",
    "不存在": "does not exist", "未定义": "undefined",
    "正无穷": r"\infty", "正无穷大": r"\infty", "无穷大": r"\infty",
    "无穷": r"\infty", "负无穷": r"-\infty", "负无穷大": r"-\infty",
}  # fmt: skip
_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九十")} | {"两": 2}


def without_chinese(text: str) -> str:
    """Put the Chinese parts of a value into English; text without such characters is returned unchanged.

    Example:
        >>> without_chinese("300分钟"), without_chinese("共有3个"), without_chinese("x=1或x=2")
        ('300 minutes', '3', 'x=1 or x=2')
    """
    if _HAN.search(text) is None:
        return text
    bare = text.strip(" \n\t$。.，,：:")
    if bare in _PHRASES:
        return _PHRASES[bare]
    text = _SENTENCE.sub("", _STATED.sub("", _LEAD.sub("", text)))
    if (said := re.fullmatch(r"([零一二三四五六七八九十两])(?:个|個|只|人)?", text.strip(" 。"))) is not None:
        return str(_DIGITS[said[1]])
    text = _PERCENT.sub(r"\1%", text)
    text = _LARGE_BEHIND.sub(lambda mark: rf"\times 10^{{{_LARGE[mark[1]]}}}", text)
    text = _UNIT_BEHIND.sub(lambda mark: f" {_UNIT[mark[1]]}", text)
    text = _NOUN_BEHIND.sub("", _COUNTER.sub("", text.replace("パーセント", "%")))
    for word, into in _WORDS.items():
        text = text.replace(word, into)
    return text
