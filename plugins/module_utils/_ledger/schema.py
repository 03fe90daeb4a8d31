# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a shared ledger, format by format; each migration upgrades the previous format."""

from __future__ import annotations

#: The schema of all tables.
NAME = "intrusion_response"
#: Advisory locks, so that only one session at a time upgrades the tables, or removes old records.
MIGRATING, RETAINING, ADMITTING = 0x49524C01, 0x49524C02, 0x49524C03
#: The first half of the two-part advisory locks of live responders. The lock of a firewall that a responder owns has one part.
MEMBERS = 0x49524C05
#: The channel that wakes responders.
CHANNEL = "intrusion_response"

_RECORDS = """
CREATE SCHEMA IF NOT EXISTS intrusion_response;
CREATE TABLE format (version integer NOT NULL);
INSERT INTO format VALUES (0);
CREATE TABLE records (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key uuid NOT NULL UNIQUE,
    arrived float8 NOT NULL,
    at float8 NOT NULL,
    action text COLLATE "C" NOT NULL CHECK (action IN ('block', 'renew', 'update', 'unblock')),
    outcome text COLLATE "C" NOT NULL CHECK (outcome IN ('ok', 'failed', 'unknown')),
    address text COLLATE "C" NOT NULL,
    service text COLLATE "C" NOT NULL,
    firewall text COLLATE "C" NOT NULL,
    ttl bigint,
    rule_name text COLLATE "C" NOT NULL,
    description text COLLATE "C" NOT NULL,
    code text COLLATE "C",
    origin text COLLATE "C" NOT NULL,
    "user" text COLLATE "C",
    job text COLLATE "C",
    event text COLLATE "C",
    event_rule text COLLATE "C",
    overridden text COLLATE "C",
    write text COLLATE "C",
    ends float8
);
CREATE INDEX records_of_an_address ON records (address, at);
CREATE INDEX records_of_an_entry ON records (firewall, address, service);
CREATE INDEX records_by_time ON records (at, id);
CREATE INDEX records_of_an_event ON records (event, at) WHERE event IS NOT NULL;
CREATE INDEX records_of_a_write ON records (write, id) WHERE write IS NOT NULL;
CREATE INDEX records_by_end ON records (ends) WHERE action <> 'unblock' AND outcome <> 'failed';
CREATE TABLE retention (horizon float8 NOT NULL, applied float8 NOT NULL);
INSERT INTO retention VALUES (0, 0);
CREATE FUNCTION refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.at < (SELECT max(horizon) FROM intrusion_response.retention) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER records_are_final BEFORE UPDATE OR DELETE ON records FOR EACH ROW EXECUTE FUNCTION refuse_changes();
CREATE TRIGGER records_are_kept BEFORE TRUNCATE ON records FOR EACH STATEMENT EXECUTE FUNCTION refuse_changes();
"""

#: What responders share: the members, the addresses that they admitted within a minute, and what to block on which firewall.
_RESPONDERS = """
CREATE TABLE members (name text PRIMARY KEY, pid integer NOT NULL, seen float8 NOT NULL, unused integer NOT NULL);
CREATE TABLE admitted (address text COLLATE "C" PRIMARY KEY, at float8 NOT NULL);
CREATE INDEX admitted_by_time ON admitted (at);
CREATE TABLE targets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event text COLLATE "C" NOT NULL,
    firewall text COLLATE "C" NOT NULL,
    member text NOT NULL,
    address text COLLATE "C" NOT NULL,
    event_rule text,
    received float8 NOT NULL,
    rule_name text NOT NULL,
    description text NOT NULL,
    instance text NOT NULL,
    ttl integer,
    result text,
    settled boolean NOT NULL DEFAULT false,
    changed float8 NOT NULL,
    UNIQUE (event, firewall, member)
);
CREATE INDEX targets_to_settle ON targets (firewall, id) WHERE NOT settled;
CREATE INDEX targets_of_a_member ON targets (member, changed);
CREATE INDEX targets_by_time ON targets (changed);
"""

MIGRATIONS = (_RECORDS, _RESPONDERS)
FORMAT = len(MIGRATIONS)
