# An image without a compiler and without root: docker build -t audience-sync .
# With other extras: docker build --build-arg EXTRAS=excel,postgresql,web,snowflake -t audience-sync .
FROM python:3.13-slim AS build
WORKDIR /source
ARG EXTRAS=excel,postgresql,web
# The dependencies alone, so that a build of the next version has this layer already.
COPY pyproject.toml constraints.txt ./
RUN python -m venv /opt/audience-sync \
    && python -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
groups = [project["dependencies"], *(project["optional-dependencies"][each] for each in sys.argv[1].split(","))]; \
print(*sum(groups, []), sep="\n")' "$EXTRAS" > requirements.txt \
    && /opt/audience-sync/bin/pip install --no-cache-dir -c constraints.txt -r requirements.txt
COPY hatch_build.py mkdocs.yml config.yaml ./
COPY README.md LICENSE CHANGELOG.md CONTRIBUTING.md SECURITY.md ./
COPY docs docs
COPY audience_sync audience_sync
COPY migrations migrations
COPY examples examples
RUN /opt/audience-sync/bin/pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]" \
    && /opt/audience-sync/bin/pip uninstall -y pip \
    && find /opt/audience-sync/lib -name tests -type d -prune -exec rm -r {} +

FROM python:3.13-slim
RUN useradd --uid 10001 --user-group --create-home --skel /dev/null --home-dir /data audience-sync
COPY --from=build /opt/audience-sync /opt/audience-sync
ENV PATH=/opt/audience-sync/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
VOLUME /data
ENTRYPOINT ["audience-sync"]
CMD ["schedule"]
