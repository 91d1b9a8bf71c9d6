"""Founding a federation and letting sites in.

| module | what it does |
|---|---|
| `founding` | a new home with its keys |
| `sealed_key` | the offline federation key, under its passphrase |
| `book` | the durable record: invitations, requests, epochs, approvals, certificates |
| `office` | what the operator does: invite, approve, reject, revoke, rotate |
| `publishing` | the files that follow from the book; the SuperLink's list of nodes |
| `desk`, `serve` | the enrolment desk: TLS without client certificates, by token |
"""
