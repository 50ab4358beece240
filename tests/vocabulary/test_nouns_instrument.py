"""One name for one thing, whoever wrote it."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from forecastle.errors import RequestInvalid
from forecastle.nouns import Instrument
from forecastle.nouns.instrument import QUOTES

TABLE = [
    # written               id              kind         base    quote   calendar
    ("BTC-USDT", "BTC-USDT", "pair", "BTC", "USDT", "24/7"),
    ("btc/usdt", "BTC-USDT", "pair", "BTC", "USDT", "24/7"),
    ("BTCUSDT", "BTC-USDT", "pair", "BTC", "USDT", "24/7"),
    ("BTC_USDT", "BTC-USDT", "pair", "BTC", "USDT", "24/7"),
    (" eth-btc ", "ETH-BTC", "pair", "ETH", "BTC", "24/7"),
    ("BTCUSD", "BTC-USD", "pair", "BTC", "USD", "24/7"),
    ("BTC-USD", "BTC-USD", "pair", "BTC", "USD", "24/7"),
    ("ETH/FDUSD", "ETH-FDUSD", "pair", "ETH", "FDUSD", "24/7"),
    ("N225.INDEX", "N225.INDEX", "index", "N225", "JPY", "XTKS"),
    ("VIX", "VIX.INDEX", "index", "VIX", "USD", "XNYS"),
    ("1INCHUSDT", "1INCH-USDT", "pair", "1INCH", "USDT", "24/7"),
    ("BTC-USDT-PERP", "BTC-USDT-PERP", "perpetual", "BTC", "USDT", "24/7"),
    ("btc/usdt-perp", "BTC-USDT-PERP", "perpetual", "BTC", "USDT", "24/7"),
    ("AAPL", "AAPL", "stock", "AAPL", "USD", "XNYS"),
    ("spy", "SPY", "stock", "SPY", "USD", "XNYS"),
    ("A", "A", "stock", "A", "USD", "XNYS"),
    ("BRK.B", "BRK.B", "stock", "BRK.B", "USD", "XNYS"),
    ("BRK-B", "BRK.B", "stock", "BRK.B", "USD", "XNYS"),
    ("BRK/B", "BRK.B", "stock", "BRK.B", "USD", "XNYS"),
    ("4063.T", "4063.XTKS", "stock", "4063", "JPY", "XTKS"),
    ("4063.XTKS", "4063.XTKS", "stock", "4063", "JPY", "XTKS"),
    ("VOD.L", "VOD.XLON", "stock", "VOD", "GBP", "XLON"),
    ("SAP.DE", "SAP.XETR", "stock", "SAP", "EUR", "XETR"),
    ("0700.HK", "0700.XHKG", "stock", "0700", "HKD", "XHKG"),
    ("BHP.AX", "BHP.XASX", "stock", "BHP", "AUD", "XASX"),
    ("SPX.INDEX", "SPX.INDEX", "index", "SPX", "USD", "XNYS"),
    ("^GSPC", "SPX.INDEX", "index", "SPX", "USD", "XNYS"),
    ("S&P500", "SPX.INDEX", "index", "SPX", "USD", "XNYS"),
    ("^VIX", "VIX.INDEX", "index", "VIX", "USD", "XNYS"),
]
REFUSED = [
    "", " ", "BTC-XYZ", "BTC-", "-USDT", "BTC--USDT", "TOOLONGSTOCK", "^NOPE", "BTC-USDT-FUT", "BTC USDT", "../etc",
    "..", ".", "a/../b", "BTC-USDT/../x", "BTC\\USDT", "AAPL;DROP", "ÄÖÜ", "BTC-USDT\x00", "BTC\nUSDT", ".INDEX",
    "B.RK.B", "BRK-T", "BRK-L",
    "BTC-USDT:USDT", "~", "AAPL.", "*", "A" * 300,
]  # fmt: skip
WRITTEN = st.one_of(
    st.sampled_from([row[0] for row in TABLE]),
    st.builds(
        "{}{}{}".format, st.from_regex(r"[A-Za-z0-9]{1,16}", fullmatch=True), st.sampled_from(["", "-", "/", "_", "."]),
        st.sampled_from([*QUOTES, "XTKS", "T", "B", "INDEX", "USDT-PERP"]),
    ),
    st.text(alphabet="ABTUSDQX019.-/_^ ", max_size=18),
    st.text(max_size=12),
)  # fmt: skip


@pytest.mark.parametrize(("written", "id_", "kind", "base", "quote", "calendar"), TABLE, ids=[r[0] for r in TABLE])
def test_names_and_aliases(written: str, id_: str, kind: str, base: str, quote: str, calendar: str) -> None:
    it = Instrument.parse(written)
    assert (it.id, it.kind, it.base, it.quote, it.calendar) == (id_, kind, base, quote, calendar)
    assert it.always_open == (calendar == "24/7")


@pytest.mark.parametrize("written", REFUSED)
def test_what_is_no_name_is_refused_with_its_value(written: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        Instrument.parse(written)
    assert f"'{written}' is not the name of an instrument." in refused.value.what


@given(WRITTEN)
@example("usdtusdt")
@example("A-T")
def test_an_id_is_its_own_alias_and_a_safe_name_of_a_folder(written: str) -> None:
    try:
        it = Instrument.parse(written)
    except RequestInvalid:
        reject()
    assert Instrument.parse(it.id) == it
    assert Instrument.parse(it.id.lower()) == it
    assert PurePosixPath(it.id).parts == (it.id,)
    assert it.id not in (".", "..")
    assert it.id[0].isalnum()
    assert it.id.isascii()
    assert set(it.id) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")
    assert len(it.id) <= 30


def test_dollars_are_never_turned_into_tethers() -> None:
    assert Instrument.parse("BTCUSD") != Instrument.parse("BTCUSDT")
    assert Instrument.parse("BTC-USD").quote == "USD"


@pytest.mark.parametrize("text", ["BNBUSD", "XBTUSD", "DOTUSD", "ETHFDUSD", "USDTUSD", "ARBUSD"])
def test_a_name_that_can_be_two_pairs_is_refused_with_both(text: str) -> None:
    with pytest.raises(RequestInvalid, match=r"\w+-\w*USD or \w+-USD|\w+-USD or") as refused:
        Instrument.parse(text)
    assert "dash" in refused.value.hint


def test_an_index_nobody_knows_is_refused_since_its_calendar_is_unknown() -> None:
    with pytest.raises(RequestInvalid, match="FOO"):
        Instrument.parse("FOO.INDEX")


@pytest.mark.parametrize("ticker", ["CAC", "DAX", "SOX", "DXY"])
def test_a_ticker_that_names_an_index_elsewhere_stays_a_stock(ticker: str) -> None:
    assert Instrument.parse(ticker).kind == "stock"
    assert Instrument.parse(f"^{ticker}").kind == "index"
