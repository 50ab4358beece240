"""What CoinGecko calls a coin: its ids are names, because thousands of coins share their symbols."""

from __future__ import annotations

from typing import Any

from forecastle.errors import SourceLimited
from forecastle.sources._coingecko_answers import changed

COINS = {
    "BTC": "bitcoin", "ETH": "ethereum", "USDT": "tether", "USDC": "usd-coin", "BNB": "binancecoin", "SOL": "solana",
    "XRP": "ripple", "ADA": "cardano", "DOGE": "dogecoin", "TRX": "tron", "AVAX": "avalanche-2", "DOT": "polkadot",
    "LINK": "chainlink", "LTC": "litecoin", "BCH": "bitcoin-cash", "XLM": "stellar", "ETC": "ethereum-classic",
    "XMR": "monero", "UNI": "uniswap", "ATOM": "cosmos", "MATIC": "matic-network", "NEAR": "near", "APT": "aptos",
    "ARB": "arbitrum", "OP": "optimism", "SUI": "sui", "FIL": "filecoin", "ICP": "internet-computer",
    "HBAR": "hedera-hashgraph", "VET": "vechain", "ALGO": "algorand", "AAVE": "aave", "EOS": "eos", "XTZ": "tezos",
    "SAND": "the-sandbox", "MANA": "decentraland", "THETA": "theta-token", "FTM": "fantom", "SHIB": "shiba-inu",
    "PEPE": "pepe", "TON": "the-open-network", "DASH": "dash", "ZEC": "zcash", "EGLD": "elrond-erd-2", "FLOW": "flow",
    "CHZ": "chiliz", "APE": "apecoin", "GRT": "the-graph", "INJ": "injective-protocol", "STX": "blockstack",
}  # fmt: skip
"""The closed list of coins that are meant by their symbol; any other one is looked up, and has to be the only one."""
MONEY = ("USD", "EUR", "GBP", "JPY", "KRW", "CHF", "AUD", "CAD", "TRY", "BRL", "BTC", "ETH", "BNB")
"""What CoinGecko quotes in. Its price in USD is not the price in USDT."""


def only_coin(listed: Any, symbol: str) -> str:
    """Return the id of the one coin of that symbol in the answer of ``coins/list``.

    Raises ``SourceLimited`` where there is none, or several: then it names them.
    """
    if not isinstance(listed, list) or not all(isinstance(coin, dict) for coin in listed):
        raise changed("the list of coins is no list")
    found = [str(coin.get("id")) for coin in listed if str(coin.get("symbol")).upper() == symbol]
    if len(found) == 1:
        return found[0]
    if not found:
        raise SourceLimited(
            f"CoinGecko lists no coin with the symbol {symbol}.",
            f"It lists {len(listed)} coins, none of that symbol.",
            "Look the coin up at CoinGecko, or name another source.",
        )
    raise SourceLimited(
        f"CoinGecko lists {len(found)} coins with the symbol {symbol}.",
        f"They are {', '.join(sorted(found)[:8])}{', ...' if len(found) > 8 else ''}: the symbol does not say which.",
        "Name a source where the symbol means one coin, such as an exchange.",
    )
