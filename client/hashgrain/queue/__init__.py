"""One collection encoded by many processes on many machines, which share a job in Redis.

A part of its own, since it stands on both `client` (what is encoded) and `indexer` (how Redis is reached), and these
know nothing of each other.
"""

from hashgrain.queue.job import Job, JobQueue
from hashgrain.queue.report import JobReport
from hashgrain.queue.worker import Options, take_part

__all__ = ["Job", "JobQueue", "JobReport", "Options", "take_part"]
