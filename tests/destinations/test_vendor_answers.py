"""Whatever the form of a vendor's answer, it is judged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .vendors import ABOUT, REQUIRED, judged, users, vendor

ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 5), st.sampled_from(["", "x", "attributes", "m-1", "C-00001"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    *("errors", "results", "failedUpdates", "invalidUserIds", "filteredOutFields", "failed_records"),
                    *("events_with_invalid_fields", "silenced_events", "exceeded_daily_quota_users", "batch_index"),
                    *("context", "objectWriteTraceId", "input_array", "status", "error", "code", "policyName"),
                    *("index", "time"),
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", REQUIRED)
@given(body=ODD, status=st.sampled_from([200, 201, 207, 400, 409, 422, 429, 500]))
@settings(max_examples=100, deadline=None)
def test_no_form_of_an_answer_is_an_error_of_the_destination(name: str, body: Any, status: int) -> None:
    options = {"id_property": "customer_id"} if name == "hubspot" else {}
    destination = vendor(name, ABOUT, **options)
    judgement = judged(destination, status, body, users(destination, "C-00001", "C-00002"))
    assert {*judgement.refused, *judgement.refused_fields} <= {0, 1}
