/** The stored tables of a run as pictures: matrices and tables in HTML, all else as charts. */

import { Drawing } from "../charts/drawing";
import { type Grid, type Matrix, type Picture, pictureInWords, pictureOf } from "../charts/picture";
import type { DataSource, RunDetails } from "../data/source";
import { plural } from "../ui/format";
import { useLoad } from "../ui/hooks";
import { ErrorBox, Loading } from "../ui/message";
import { Section } from "./section";

interface Props {
  source: DataSource;
  details: RunDetails;
}

const PLOT = /^plots\/.*\.json$/;

export function Pictures({ source, details }: Props) {
  const { run, artifacts } = details;
  const count = artifacts.filter(({ path }) => PLOT.test(path)).length;
  const loaded = useLoad(
    () => (count > 0 ? source.plots(run.run_id) : Promise.resolve([])),
    [source, run.run_id, count],
  );
  if (count === 0) return null;
  const pictures = (loaded.data ?? []).map(pictureOf);
  return (
    <Section title="Pictures" count={count}>
      {loaded.error !== null && <ErrorBox error={loaded.error} retry={loaded.reload} />}
      {loaded.data === null && loaded.error === null && <Loading text="Loading the pictures…" />}
      {loaded.data !== null && pictures.length === 0 && (
        <p class="nbt-note">They are in the database and not on this page.</p>
      )}
      <div class="nbt-pictures">
        {pictures.map((picture) => (
          <Shown key={picture.title} source={source} picture={picture} />
        ))}
      </div>
    </Section>
  );
}

function Shown({ source, picture }: { source: DataSource; picture: Picture }) {
  const { title, note, drawing } = picture;
  return (
    <figure class="nbt-picture">
      <figcaption>
        <bdi>{title}</bdi>
        {note && <span class="nbt-faint"> {note}</span>}
      </figcaption>
      {drawing.kind === "matrix" ? (
        <ConfusionMatrix matrix={drawing} />
      ) : drawing.kind === "grid" ? (
        <Table grid={drawing} />
      ) : (
        <Drawing source={source} chart={drawing} label={pictureInWords(picture)} />
      )}
    </figure>
  );
}

/** Shaded by the share of its row: rare classes are as readable as frequent ones. */
function ConfusionMatrix({ matrix: { labels, counts } }: { matrix: Matrix }) {
  return (
    <div class="nbt-scroll">
      <table class="nbt-matrix">
        <thead>
          <tr>
            <th scope="col" class="nbt-faint">
              true ↓ predicted →
            </th>
            {labels.map((label, i) => (
              <th scope="col" key={i}>
                <bdi>{label}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {counts.map((row, i) => {
            const total = row.reduce((sum, count) => sum + count, 0);
            return (
              <tr key={i}>
                <th scope="row">
                  <bdi>{labels[i]}</bdi>
                </th>
                {row.map((count, j) => {
                  const share = total > 0 ? count / total : 0;
                  const percent = Math.round(share * 100);
                  return (
                    <td
                      key={j}
                      class={i === j ? "nbt-hit" : "nbt-miss"}
                      style={{ "--nbt-share": `${Math.round(share * 70)}%` }}
                      title={`true ${labels[i]}, predicted ${labels[j]}: ${count} (${percent} %)`}
                    >
                      {count.toLocaleString("en")}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Table({ grid: { header, rows, best, more } }: { grid: Grid }) {
  return (
    <div class="nbt-scroll">
      <table class="nbt-grid">
        <thead>
          <tr>
            {header.map((name, i) => (
              <th scope="col" key={i}>
                <bdi>{name}</bdi>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i} class={i === best ? "nbt-best-row" : undefined}>
              {row.map((text, j) => (
                <td key={j}>
                  <bdi>{text}</bdi>
                  {i === best && j === row.length - 1 && <span class="nbt-badge">best</span>}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {more > 0 && <p class="nbt-note">{`and ${plural(more, "row")} more`}</p>}
    </div>
  );
}
