"""Do secrets stay out of every output and the store, and user properties out of every log?"""

from __future__ import annotations

from base64 import b64encode

from destinations.receiver import Receiver, Reply

from .conftest import TAKEN, Project, calls, segment

KEY = "wk-4f0c2a9d7e61"
PASSWORD = "pa55-of-the-warehouse"
EMAIL = "ada.lovelace@example.org"
SECRETS = [KEY, PASSWORD, b64encode(f"{KEY}:".encode()).decode()]


def test_secrets_and_user_properties_appear_nowhere(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(401, f'{{"message": "{KEY} is not a key"}}'.encode()), TAKEN)
    vip.environment |= {"WRITE_KEY": KEY, "WAREHOUSE": f"postgresql://reader:{PASSWORD}@127.0.0.1:1/nowhere"}
    vip.configure(
        sources={"shop": {"files": "."}, "warehouse": {"database": "${WAREHOUSE}"}},
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Risk", "source": "warehouse", "query": "select 1 as user_id"},
        ],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["email"]}],
        destinations={"segment": segment(receiver, write_key="${WRITE_KEY}")},
    )
    vip.write("traits.csv", f"user_id,email\nada,{EMAIL}\n")
    commands = [["check"], ["sync", "-v"], ["sync", "-v", "--json"], ["show", "1"], ["history", "--json"]]
    results = [vip.run(*command) for command in commands]
    assert [result.code for result in results] == [3, 3, 3, 0, 0]
    assert ("ada", {"email": EMAIL, "vip": True}) in calls(receiver)
    assert "HTTP 401" in results[1].stdout
    said = "".join(result.stdout + result.stderr for result in results)
    kept = vip.store.read_bytes()
    for secret in SECRETS:
        assert secret not in said
        assert secret.encode() not in kept
    assert EMAIL not in said
