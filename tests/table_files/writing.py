"""Write the same rows as a log and as tables of every kind."""

import gzip
import json

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet

MEMBERS = {
    "purchase": {"timestamp": "timestamp", "user": "id", "amount": "amount"},
    "befriend": {"user": "id1", "friend": "id2"},
    "unfriend": {"user": "id1", "friend": "id2"},
}
OTHER = {"timestamp": "timestamp", "user": "id", "friend": "id2", "amount": "amount"}


def line_of(row):
    """Return a row as the line of a log; fields that are None are left out."""
    kind = row.get("kind", "purchase")
    members = {} if kind is None else {"event_type": kind}
    for field, name in MEMBERS.get(kind, OTHER).items():
        if row.get(field) is not None:
            members[name] = row[field]
    inner = ", ".join(
        f"{json.dumps(k)}:{json.dumps(v, ensure_ascii=False)}" for k, v in members.items()
    )
    return f"{{{inner}}}\n".encode()


def write_log(path, rows):
    path.write_bytes(b"".join(map(line_of, rows)))


def write_csv(path, rows, delimiter=",", encoding="utf-8"):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", newline="", encoding=encoding) as file:
        for values in [list(rows[0]), *([row[name] for name in rows[0]] for row in rows)]:
            # None is nothing, and an empty text is "".
            cells = ("" if v is None else '"' + v.replace('"', '""') + '"' for v in values)
            file.write(delimiter.join(cells) + "\r\n")


def write_tsv(path, rows):
    write_csv(path, rows, delimiter="\t")


def table_of(rows):
    return pa.table({name: pa.array([r[name] for r in rows], pa.string()) for name in rows[0]})


def write_parquet(path, rows):
    pyarrow.parquet.write_table(table_of(rows), path, row_group_size=7)


def write_feather(path, rows):
    pyarrow.feather.write_feather(table_of(rows), str(path), chunksize=5)


def write_arrow_stream(path, rows):
    table = table_of(rows)
    with pyarrow.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)


def write_jsonl(path, rows):
    lines = [json.dumps({k: v for k, v in row.items() if v is not None}) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))


def write_json_array(path, rows):
    path.write_text(
        json.dumps([{k: v for k, v in r.items() if v is not None} for r in rows], indent=1)
    )


FORMATS = {
    "t.csv": write_csv,
    "t.csv.gz": write_csv,
    "t.tsv": write_tsv,
    "t.parquet": write_parquet,
    "t.feather": write_feather,
    "t.arrows": write_arrow_stream,
    "t.jsonl": write_jsonl,
    "t.json": write_json_array,
}
