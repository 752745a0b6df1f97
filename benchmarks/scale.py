"""Measure the cost of judging a purchase for up to 10 million users and a hub of a million.

Run it as `python benchmarks/scale.py --users 10000000`: it loads that many users, ten
friendships and ten purchases each through the columns of `Detector.feed_columns`, judges
100,000 purchases with an edit before each, and prints Markdown tables on standard output;
see benchmarks/singly.py. `--json FILE` appends the numbers to a file; with `--picture FILE`
it draws all numbers of that file instead of measuring.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # when run as a script

from benchmarks.crowd import Crowd
from benchmarks.report import Spread, conditions, positive
from benchmarks.singly import (
    Both,
    Loaded,
    Plan,
    edits_table,
    judge_degree,
    load,
    memory_table,
    purchases_table,
)


def numbers(
    crowd: Crowd, plan: Plan, loaded: Loaded, both: Both, measured: str
) -> dict[str, object]:
    """Return one degree's results for the JSON file."""
    spreads = {"auto": both.auto.purchase_ns, "edits": both.auto.edit_ns}
    if both.ball is not None:
        spreads["auto_on_sample"] = both.auto_on_sample()
        spreads["ball"] = both.ball.purchase_ns
    return {
        **crowd._asdict(),
        "tracked": plan.tracked,
        "degree": both.degree,
        "hub_friends": loaded.hub_friends,
        "load_seconds": loaded.seconds,
        "peak_bytes": loaded.peak_bytes,
        "conditions": measured,
        **{f"{name}_ns": Spread.of(ns)._asdict() for name, ns in spreads.items()},
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description="Measure single judged purchases in a large heavy-tailed network.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--users", type=positive, default=10_000, help="users; at least 1,000")
    add("--friendships-per-user", type=positive, default=10, help="friendships, loaded")
    add("--purchases-per-user", type=positive, default=10, help="purchases, loaded")
    add("--judge", type=positive, default=100_000, help="purchases judged after the load")
    add("--degrees", type=positive, nargs="+", default=[1, 2, 3, 4, 5], help="values of D")
    add("-T", "--tracked", type=positive, default=50, help="latest purchases that count")
    add("--ball-sample", type=int, default=1_000, help="purchases judged by whole balls too")
    add("--ball-seconds", type=float, default=60, help="time limit of whole balls, per D")
    add("--seed", type=int, default=0, help="seed of everything")
    add("--json", type=Path, metavar="FILE", help="add the numbers to this file")
    add("--picture", type=Path, metavar="FILE", help="draw the numbers of --json FILE as SVG")
    args = parser.parse_args(arguments)
    if args.picture and not args.json:
        parser.error("--picture needs --json FILE, the numbers to draw")
    if args.users < 1_000:
        parser.error(f"--users must be at least 1,000, not {args.users}")
    if args.ball_sample < 0:
        parser.error(f"--ball-sample must be at least 0, not {args.ball_sample}")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, or draw the picture."""
    args = parse(arguments)
    if args.picture:
        from benchmarks.picture import draw  # noqa: PLC0415 - matplotlib, for this alone

        draw(args.json, args.picture)
        return
    crowd = Crowd(
        args.users,
        args.users * args.friendships_per_user,
        args.users * args.purchases_per_user,
        seed=args.seed,
    )
    plan = Plan(args.tracked, args.judge, args.ball_sample, args.ball_seconds)
    measured = conditions(["fastanomaly", "numpy"])
    loaded = load(crowd, plan.tracked)
    results = []
    for degree in args.degrees:
        both = judge_degree(loaded, crowd, plan, degree)
        results.append(both)
        if args.json:
            with open(args.json, "a") as out:
                out.write(json.dumps(numbers(crowd, plan, loaded, both, measured)) + "\n")
    print(measured)
    print(
        f"\n{crowd.users:,} users, {crowd.friendships:,} friendships (the largest hub has "
        f"{loaded.hub_friends:,} friends), {crowd.purchases:,} purchases, "
        f"T = {plan.tracked}, seed {crowd.seed}; loaded in {loaded.seconds:,.1f} s, which "
        "makes the columns, too.\n"
    )
    print(memory_table(loaded))
    print(
        f"\n{plan.judge:,} purchases judged one by one, an edit before each; by whole balls "
        f"{plan.ball_sample:,} of them, or as many as {plan.ball_seconds:,.0f} s allow (p99 "
        "and p99.9 of few are the largest).\n"
    )
    print(purchases_table(results))
    print("\nThe edits between them, alternately befriend and unfriend.\n")
    print(edits_table(results))
    if any(both.ball and both.wrong() for both in results):
        sys.exit("the two ways gave different answers")


if __name__ == "__main__":
    main()
