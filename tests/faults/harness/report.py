"""The page a person reads: what was promised, what held, what happened when; and the same in plain text."""
import html
import json
import os
from collections import Counter

import check

STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c2420;background:#fbfbf9}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}.sub{color:#66706a}table{border-collapse:collapse;width:100%}
td{padding:.3rem .6rem .3rem 0;vertical-align:top;border-top:1px solid #e4e6e0}.ok{color:#1f7a45;font-weight:600}.no{color:#b3261e;font-weight:600}
.big{display:flex;gap:2rem;flex-wrap:wrap;margin:1rem 0}.big b{display:block;font-size:1.6rem;font-weight:600}
code{font:13px ui-monospace,monospace}svg{width:100%;height:auto;background:#fff;border:1px solid #e4e6e0}li{margin:.1rem 0}"""


def seconds(value):
    return "-" if value is None else f"{value:.1f} s"


def figures(facts):
    """[(what, value)], the few numbers that say most."""
    jobs = facts["load"]["jobs"]
    stored = facts["store"]["children"]
    calm, disturbed = check.settle_times(facts)
    receipts = sorted(job["at"] - job["asked_at"] for job in jobs.values() if job.get("at"))
    return [("jobs with a receipt", len(check.receipted(facts["load"]))), ("faults", len(facts["timeline"])),
            ("ends", ", ".join(f"{n} {status}" for status, n in Counter(s["a"]["status"] for s in stored.values()).most_common())),
            ("receipt p50 / p99", f"{seconds(check.percentile(receipts, 50))} / {seconds(check.percentile(receipts, 99))}"),
            ("settled p50 / p99", f"{seconds(check.percentile(calm, 50))} / {seconds(check.percentile(calm, 99))} of {len(calm)}"),
            ("settled while the store was away, p99", f"{seconds(check.percentile(disturbed, 99))} of {len(disturbed)}"),
            ("events heard", sum(len(e) for c in facts["load"]["heard"].values() for e in c.values()))]


def as_text(options, facts, verdicts):
    lines = [f"{what}: {value}" for what, value in figures(facts)]
    for verdict in verdicts:
        lines.append(f"{'held  ' if verdict.held else 'BROKEN'}  {verdict.promise}")
        lines += [f"          {text}" for text in verdict.evidence]
    broken = sum(not verdict.held for verdict in verdicts)
    lines.append(f"seed {options.seed}: " + ("all promises held" if broken == 0 else f"{broken} of {len(verdicts)} promises BROKEN"))
    return "\n".join(lines)


def chart(facts):
    """Faults as bars by target, over the curve of open activations."""
    steps, looks = facts["timeline"], facts["looks"]
    end = max([look["at"] for look in looks] + [step["healed"] or 0 for step in steps] + [1])
    targets = sorted({step["target"] for step in steps})
    wide, row, left = 1000, 16, 80
    height = row * (len(targets) + 1) + 70
    x = lambda at: left + (wide - left - 10) * at / end
    parts = []
    for i, target in enumerate(targets):
        parts.append(f'<text x="4" y="{row * i + 13}" font-size="11">{html.escape(target)}</text>')
        for step in (s for s in steps if s["target"] == target):
            width = max(3, x(step["healed"] or end) - x(step["at"]))
            title = html.escape(f"{step['at']:.1f} s {step['fault']} {target}")
            parts.append(f'<rect x="{x(step["at"]):.1f}" y="{row * i + 4}" width="{width:.1f}" height="10" fill="#d98a29" opacity=".8"><title>{title}'
                         '</title></rect>')
    opened = [(look["at"], sum(n for state, n in look["counts"].items() if state in ("queued", "assigned", "running"))) for look in looks]
    most = max([n for _, n in opened] + [1])
    points = " ".join(f"{x(at):.1f},{height - 8 - 55 * n / most:.1f}" for at, n in opened)
    parts.append(f'<polyline points="{points}" fill="none" stroke="#2d6cdf" stroke-width="1.5"/>')
    parts.append(f'<text x="4" y="{height - 40}" font-size="11">open</text><text x="4" y="{height - 26}" font-size="11">(max {most})</text>')
    return f'<svg viewBox="0 0 {wide} {height}">{"".join(parts)}</svg>'


def page(options, facts, verdicts, took):
    broken = [verdict for verdict in verdicts if not verdict.held]
    rows = "".join(f'<tr><td class="{"ok" if v.held else "no"}">{"held" if v.held else "broken"}</td><td>{html.escape(v.promise)}</td><td>'
                   + "<br>".join(html.escape(text) for text in v.evidence) + "</td></tr>" for v in verdicts)
    big = "".join(f"<div><b>{html.escape(str(value))}</b>{html.escape(what)}</div>" for what, value in figures(facts))
    steps = "".join(f"<tr><td><code>{s['at']:.2f}</code></td><td>{s['fault']}</td><td>{s['target']}</td><td>{s['lasts'] or ''}</td></tr>"
                    for s in facts["timeline"])
    head = "All promises held" if not broken else f"{len(broken)} of {len(verdicts)} promises broken"
    again = f"./ops/test --faults --minutes {options.seconds / 60:g} --seed {options.seed}"
    return (f'<!doctype html><meta charset="utf-8"><title>Rhizome under faults, seed {options.seed}</title><style>{STYLE}</style>'
            f'<h1 class="{"no" if broken else "ok"}">{head}</h1><p class="sub">seed {options.seed}, {options.seconds:g} s of load at '
            f'{options.rate:g} jobs/s, {took:.0f} s in all. Again: <code>{again}</code></p><div class="big">{big}</div>'
            f"<h2>Promises</h2><table>{rows}</table><h2>When</h2>{chart(facts)}<h2>Every fault</h2><table>{steps}</table>")


def write(folder, options, facts, verdicts, logs, took):
    where = os.path.join(folder, f"seed-{options.seed}")
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, "report.html"), "w") as file:
        file.write(page(options, facts, verdicts, took))
    with open(os.path.join(where, "facts.json"), "w") as file:
        json.dump(facts, file, default=sorted)
    for name, text in logs.items():
        with open(os.path.join(where, name), "w") as file:
            file.write(text)
    return os.path.join(where, "report.html")
