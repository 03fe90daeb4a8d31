# Copyright (c) 2026, intrusion.response contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulator of the CLC/IPS and Clavister cOS Core REST APIs (loopback only).

``python -m emulator`` runs it as a process, :mod:`emulator.testing` inside a test run. It knows the
wire and shares no code with the collection's clients.
"""
