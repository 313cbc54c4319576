"""Jobs: what shall be made of finished objects, by whichever worker comes first."""

from resumable.job import Ending, Job, JobState, JobStatus, Made
from resumable.jobs.queue import Claim, Jobs, OpenJob

__all__ = ["Claim", "Ending", "Job", "JobState", "JobStatus", "Jobs", "Made", "OpenJob"]
