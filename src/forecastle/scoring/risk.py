"""Tests of value at risk and expected shortfall.

Everywhere ``returns`` are realised log returns in decimals, ``var`` and ``es`` positive losses forecast for the same
bars, shape (n,); a breach is ``return < -var``, strictly; ``p`` is the level (0.01 is one percent). NaN is refused with
``DataInvalid``: an unknown forecast can neither be met nor broken.
"""

from forecastle.scoring._e_process import e_process, es_e_process
from forecastle.scoring._es_tests import acerbi_szekely, mcneil_frey, simulator
from forecastle.scoring._var_tests import christoffersen, duration, dynamic_quantile, kupiec_pof, traffic_light

__all__ = [
    "acerbi_szekely",
    "christoffersen",
    "duration",
    "dynamic_quantile",
    "e_process",
    "es_e_process",
    "kupiec_pof",
    "mcneil_frey",
    "simulator",
    "traffic_light",
]
