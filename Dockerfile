# A small image without a compiler, a shell history or root: docker build -t audience-sync .
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py mkdocs.yml config.yaml constraints.txt ./
COPY README.md LICENSE CHANGELOG.md CONTRIBUTING.md SECURITY.md ./
COPY docs docs
COPY audience_sync audience_sync
COPY migrations migrations
COPY examples examples
RUN python -m venv /opt/audience-sync \
    && /opt/audience-sync/bin/pip install --no-cache-dir -c constraints.txt ".[excel,postgresql,web]" \
    && /opt/audience-sync/bin/pip uninstall -y pip \
    && find /opt/audience-sync/lib -name tests -type d -prune -exec rm -r {} +

FROM python:3.13-slim
RUN useradd --uid 10001 --create-home --home-dir /data audience-sync
COPY --from=build /opt/audience-sync /opt/audience-sync
ENV PATH=/opt/audience-sync/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["audience-sync"]
CMD ["schedule"]
