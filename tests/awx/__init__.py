# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of the AWX API: what awx.awx, ansible-rulebook and people send to it, judged as AWX does, with jobs that really run.

`catalogue` has the resources, `surveys` the rules of surveys and launches, `store` keeps everything, `jobs` runs a job as AWX lays it
out, `server` answers over HTTP. `recorded.jsonl` is what awx.awx 24.6.1 and a real AWX said to each other; the double is held against it.
"""
