"""tuspyserver in a FastAPI app that pages of other origins may use."""

import os

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from tuspyserver import create_tus_router

app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_methods=["*"],
    allow_headers=["*"],
    expose_headers=["Location", "Upload-Offset", "Upload-Length"],
)
app.include_router(create_tus_router(prefix="files", files_dir=os.environ["DATA"]))
