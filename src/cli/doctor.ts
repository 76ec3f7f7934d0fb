import { reportText } from '../native/doctor/text.js'
import { doctorReport } from '../native/doctor.js'
import { parse } from './arguments.js'

/** Prints the report. @returns 0 when the package can be used, else 1 */
export async function doctor(args: readonly string[]): Promise<number> {
  const { values } = parse({ args: [...args], options: { json: { type: 'boolean' } } })
  const report = await doctorReport()
  console.log(values.json ? JSON.stringify(report, null, 2) : reportText(report))
  return report.ready ? 0 : 1
}
